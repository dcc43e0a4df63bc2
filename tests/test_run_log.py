import logging
import warnings

from mtbkd.run_log import RunLog

log = logging.getLogger("mtbkd")


def test_each_warning_is_kept_and_shown_once(tmp_path, capsys):
    with RunLog() as notes:
        warnings.simplefilter("always")
        for text in ("careful", "careful", "of\n this  too"):
            warnings.warn(text, stacklevel=1)
        notes.write_to(tmp_path / "run.log")
        log.info("kd_student: %.1f s", 2.0)
    assert notes.warnings == ["careful", "of this too"]
    assert capsys.readouterr().err == "mtbkd: warning: careful\nmtbkd: warning: of this too\n"
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == [
        "WARNING UserWarning: careful",
        "WARNING UserWarning: of this too",
        "INFO kd_student: 2.0 s",
    ]


def test_nothing_is_written_before_a_file_is_named(tmp_path):
    handlers, shown, level = list(log.handlers), warnings.showwarning, log.level
    with RunLog():
        log.info("unheard")
    assert list(tmp_path.iterdir()) == []
    assert (list(log.handlers), warnings.showwarning, log.level) == (handlers, shown, level)


def test_lines_are_on_disk_at_once_and_appended(tmp_path):
    path = tmp_path / "run.log"
    for text in ("first", "second"):
        with RunLog() as notes:
            notes.write_to(path)
            log.info(text)
            assert path.read_text().splitlines()[-1].endswith(f"INFO {text}")
    assert len(path.read_text().splitlines()) == 2
