"""What was run, how long it took, and how to run it again."""

from mtbkd.report.blocks import Block, Code, Facts, Figures, FigureView, Heading, Section
from mtbkd.report.content import ReportContent
from mtbkd.report.model_figures import stage_times
from mtbkd.report.sections.inference import named_numbers


def section(content: ReportContent) -> Section:
    """Facts, command, configuration, time and memory, versions."""
    blocks: list[Block] = []
    if content.facts:
        blocks.append(Facts(content.facts))
    blocks += [Heading("Make it again"), Code(content.command)]
    blocks += [Heading("Configuration"), Code(content.config, long=True)]
    timing = content.metrics.get("timing") or {}
    seconds = {
        name.removesuffix("_s").replace("_", " "): float(value)
        for name, value in timing.items()
        if name.endswith("_s") and value is not None
    }
    others = named_numbers({name: value for name, value in timing.items() if not name.endswith("_s")})
    if seconds or others:
        blocks.append(Heading("Time"))
    if seconds:
        told = ", ".join(f"{stage} {value:.1f}" for stage, value in seconds.items())
        view = FigureView(
            "time",
            stage_times(seconds),
            f"Seconds of each stage: {told}",
            f"Where {sum(seconds.values()):,.1f} seconds went, stage by stage; what was read from a cache took none.",
            {"stage": list(seconds), "seconds": list(seconds.values())},
        )
        blocks.append(Figures([view], beside=[Facts(others)] if others else []))
    elif others:
        blocks.append(Facts(others))
    if versions := content.metrics.get("versions"):
        blocks += [Heading("Versions"), Facts({name: str(value) for name, value in versions.items()})]
    return Section("run", "This run", "This run", blocks)
