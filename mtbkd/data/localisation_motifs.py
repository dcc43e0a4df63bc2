"""Short patterns that tell where a protein goes, or what family it is of and so where that family works.

`(?=...)` counts overlapping matches; `$` and `^` are the ends of the sequence. Sorting signals are those of ELM
(Kumar et al. 2022) and of textbooks, family signatures are shortened from PROSITE.
"""

import re

import numpy as np

MOTIFS = {
    # Into the nucleus and out of it
    "nls_monopartite": r"(?=K[KR].[KR])",
    "nls_bipartite": r"(?=[KR][KR].{9,12}[KR][KR].?[KR])",
    "nls_basic_run": r"(?=[KR]{4})",
    "nls_proline": r"(?=P..K[KR].[KR])",
    "nls_histone": r"[KR]{2}.[KR].{1,5}[KR]{2}",
    "nes": r"(?=L.{2,3}[LIVFM].{2,3}L.[LI])",
    # Peroxisome: signals 1 (strict, wide) and 2
    "pts1": r"[SAC][KRH][LM]$",
    "pts1_wide": r"[SACPNGT][KRHNSQ][LMIF]$",
    "pts2": r"^.{0,30}[RK][LVIQ].{5}[HQ][LAF]",
    # Secretory pathway: retention, retrieval, glycosylation, cleavage, sorting to the lysosome
    "kdel": r"[KHRE][DEN]EL$",
    "kkxx": r"K.?K..$|KK..$",
    "rxr": r"(?=R.R)",
    "n_glycosylation": r"(?=N[^P][ST][^P])",
    "signal_cleavage": r"^.{12,35}[AVSGCLIT].[AGSC]",
    "furin": r"R.[KR]R",
    "dibasic": r"(?=R..R)",
    "tyrosine_sorting": r"Y..[LIMFV]",
    "dileucine_sorting": r"(?=[DE]...L[LI])",
    "golgi_yqrl": r"YQRL",
    # Mitochondrion and plastid
    "mitochondrial_r2": r"^.{10,60}R.[FYLA]S",
    "mitochondrial_carrier": r"P.[DE]..[KR].[KR]",
    "twin_arginine": r"RR.[FL]",
    "pentatricopeptide": r"(?=[YFL][NT].[LIMV][ILM].[GA])",
    # Lipid anchors
    "prenylation_caax": r"C[AVILMT][AVILMTS].$",
    "prenylation_cc": r"C.?C$",
    "myristoylation": r"^MG[^P]..[STAGCN]",
    # Nucleic acids: fingers, domains, tails
    "c2h2": r"C.{2,4}C.{12}H.{3,5}H",
    "cxxc": r"(?=C..C)",
    "ring": r"C..C.{9,39}C.{1,3}H",
    "homeobox": r"WF.N",
    "bhlh": r"ER.RR",
    "bzip": r"N...[SAC].{2}[SAC]R",
    "wrky": r"WRKYG",
    "myb": r"W[TS].[EDK]E",
    "mads": r"R.T[FY].[KR]R",
    "rna_recognition": r"[KR]G[FY][GA][FY][VI]",
    "rgg": r"(?=RGG)",
    "rs": r"(?=RS|SR)",
    "rs_run": r"(?=[SR]{6})",
    "dead_box": r"DE[AC][DH]",
    "lxxll": r"L..LL",
    # Enzymes, receptors, scaffolds
    "p_loop": r"[AG].{4}GK[ST]",
    "gtpase": r"[NT]K.D",
    "kinase_hrd": r"H[RC]D[LIVMF]K",
    "kinase_dfg": r"DFG",
    "rossmann": r"G.G..G",
    "p450": r"F..G.R.C.G",
    "serine_protease": r"GDSG",
    "aspartic_protease": r"[LIVM]..[GA]D[ST]",
    "abc_transporter": r"[LIVM]SGG",
    "thioredoxin": r"CG.C",
    "cis_proline": r"[VIL]P.[LIVM]..[GDN]",
    "ef_hand": r"D.[DN].[DSN]G",
    "gpcr_dry": r"[DE]RY",
    "npa_channel": r"NP[AV]",
    "rgd": r"RGD",
    "sh3": r"ALYDY",
    "wd40": r"(?=[LIVMSAC]WD)",
    "leucine_rich": r"(?=L..L.L..N)",
    "ankyrin": r"G.TPLH",
    "tetratricopeptide": r"A.....G....A..[YFL]..A",
    "kelch_gg": r"GG",
    "ubiquitin": r"[LIVM]RGG",
    "cysteine_pair": r"(?=C.{3,8}C)",
    "cysteine_gap": r"C.G",
    "proline_directed": r"[ST]P",
    # Runs of one residue or charge: low complexity, mostly of the nucleus
    "run_q": r"Q{5}",
    "run_s": r"S{5}",
    "run_acidic": r"[DE]{6}",
    "run_p": r"P{4}",
    "run_a": r"A{5}",
    "run_k": r"K{4}",
}
_COMPILED = [re.compile(pattern) for pattern in MOTIFS.values()]
_MOST = 5


def motif_counts(text: str) -> np.ndarray:
    """How often each motif occurs in a sequence, at most 5, in the order of MOTIFS."""
    return np.array([min(len(pattern.findall(text)), _MOST) for pattern in _COMPILED], np.float64)
