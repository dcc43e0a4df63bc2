"""What is known of each of the twenty amino acids, in numbers; order ACDEFGHIKLMNPQRSTVWY."""

import numpy as np

from mtbkd.data.sequence_features import AMINO_ACIDS


def _scale(**values: float) -> np.ndarray:
    return np.array([values[a] for a in AMINO_ACIDS])


# Kyte and Doolittle 1982: hydropathy; 19 residues of mean 1.6 and more may cross a membrane.
HYDROPATHY = _scale(
    A=1.8, R=-4.5, N=-3.5, D=-3.5, C=2.5, Q=-3.5, E=-3.5, G=-0.4, H=-3.2, I=4.5,
    L=3.8, K=-3.9, M=1.9, F=2.8, P=-1.6, S=-0.8, T=-0.7, W=-0.9, Y=-1.3, V=4.2,
)  # fmt: skip
# Eisenberg, Schwarz, Komaromy and Wall 1984: the consensus scale that hydrophobic moments are taken of.
CONSENSUS = _scale(
    A=0.62, R=-2.53, N=-0.78, D=-0.90, C=0.29, Q=-0.85, E=-0.74, G=0.48, H=-0.40, I=1.38,
    L=1.06, K=-1.50, M=0.64, F=1.19, P=0.12, S=-0.18, T=-0.05, W=0.81, Y=0.26, V=1.08,
)  # fmt: skip
# At neutral pH.
CHARGE = np.array([{"K": 1.0, "R": 1.0, "D": -1.0, "E": -1.0}.get(a, 0.0) for a in AMINO_ACIDS])
# Zamyatnin 1972: volume in cubic angstroms.
VOLUME = _scale(
    A=88.6, R=173.4, N=114.1, D=111.1, C=108.5, Q=143.8, E=138.4, G=60.1, H=153.2, I=166.7,
    L=166.7, K=168.6, M=162.9, F=189.9, P=112.7, S=89.0, T=116.1, W=227.8, Y=193.6, V=140.0,
)  # fmt: skip
# Chou and Fasman 1978: propensity for helices and for sheets.
HELIX = _scale(
    A=1.42, R=0.98, N=0.67, D=1.01, C=0.70, Q=1.11, E=1.51, G=0.57, H=1.00, I=1.08,
    L=1.21, K=1.16, M=1.45, F=1.13, P=0.57, S=0.77, T=0.83, W=1.08, Y=0.69, V=1.06,
)  # fmt: skip
SHEET = _scale(
    A=0.83, R=0.93, N=0.89, D=0.54, C=1.19, Q=1.10, E=0.37, G=0.75, H=0.87, I=1.60,
    L=1.30, K=0.74, M=1.05, F=1.38, P=0.55, S=0.75, T=1.19, W=1.37, Y=1.47, V=1.70,
)  # fmt: skip
# Campen et al. 2008: TOP-IDP, the tendency towards disorder.
DISORDER = _scale(
    A=0.06, R=0.18, N=0.007, D=0.192, C=0.02, Q=0.318, E=0.736, G=0.166, H=0.303, I=-0.486,
    L=-0.326, K=0.586, M=-0.397, F=-0.697, P=0.987, S=0.341, T=0.059, W=-0.884, Y=-0.510, V=-0.121,
)  # fmt: skip

# Each with mean 0 and deviation 1 over the amino acids, `[7, 20]`.
PROPERTIES = np.stack([HYDROPATHY, CONSENSUS, CHARGE, VOLUME, HELIX, SHEET, DISORDER])
PROPERTIES = (PROPERTIES - PROPERTIES.mean(1, keepdims=True)) / PROPERTIES.std(1, keepdims=True)
