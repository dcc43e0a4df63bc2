"""Teacher-informed priors on the student's class probabilities, one file each."""

from mtbkd.priors.dirichlet_mixture import DirichletMixture
from mtbkd.priors.dirichlet_product import DirichletProduct
from mtbkd.priors.heads import HeadsPrior
from mtbkd.priors.prior import TeacherPrior, dirichlet_precision

__all__ = ["DirichletMixture", "DirichletProduct", "HeadsPrior", "TeacherPrior", "dirichlet_precision"]
