"""The sections of the page, in their order: a file a section, each a function from the content to plain blocks.

A new section is a new file with `section(content) -> Section` and its name here.
"""

from mtbkd.report.blocks import Section
from mtbkd.report.content import ReportContent
from mtbkd.report.sections import (
    calibration,
    classes,
    conformal,
    inference,
    models,
    run,
    selective,
    teachers,
    uncertainty,
    unsure,
)

ORDER = (models, calibration, selective, uncertainty, conformal, unsure, classes, teachers, inference, run)


def sections(content: ReportContent) -> list[Section]:
    """All sections of a report; what a run does not have is left out with a reason."""
    return [module.section(content) for module in ORDER]
