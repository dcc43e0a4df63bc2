"""What people look at: figures, tables and the page.

Every figure of the page is a function here that returns a matplotlib Figure, for notebooks; each is imported when it is
first asked for, so that `import mtbkd.report` loads neither matplotlib nor ArviZ.
"""

from importlib import import_module
from typing import Any

FIGURES = {
    "calibration_figures": (
        "reliability_diagram",
        "reliability_curves",
        "risk_coverage_curve",
        "conformal_sizes",
    ),
    "class_figures": ("confusion_matrix",),
    "model_figures": ("model_dots", "stage_times"),
    "teacher_figures": (
        "teacher_voices",
        "disagreement_matrix",
        "teacher_sensitivity",
        "weight_course",
        "row_scale",
    ),
    "trace_figures": ("chain_trace", "chain_ranks", "ess_evolution", "energy_spread", "loss_trace"),
    "uncertainty_figures": ("uncertainty_histogram", "class_probabilities"),
}
MODULE_OF = {name: module for module, names in FIGURES.items() for name in names}
MODULE_OF |= {"report_style": "svg", "inline_svg": "svg", "model_rows": "tables"}

__all__ = sorted(MODULE_OF)


def __getattr__(name: str) -> Any:
    if name in MODULE_OF:
        return getattr(import_module(f"mtbkd.report.{MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'mtbkd.report' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
