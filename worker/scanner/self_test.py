"""What a clamd makes of the test virus, and what to change where it doesn't look far enough."""

from shared.finding import Finding, ok, warning, wrong
from worker.scanner import probes
from worker.scanner.clamd import Clamd, ScannerAway, Version
from worker.scanner.verdicts import Meaning, read
from worker.watch import SelfTested

AWAY = "CLAMD_ADDRESS"
"""The name of what is found of a clamd that can't be reached."""
NAME = "clamd.conf"
"""And of one that has to be set up otherwise."""


def away(reason: str) -> Finding:
    return wrong(AWAY, f"{reason}; start clamd, or correct the address. Until then uploads wait")


class SelfTest:
    """One run. `believed` is the length in bytes up to which its OK means that it has looked."""

    def __init__(self, clamd: Clamd, seconds: float) -> None:
        """`seconds` is what it may take for one file."""
        self._clamd = clamd
        self._seconds = seconds
        self.believed = 0

    async def run(self, largest_field: int | None) -> SelfTested:
        """It works when it finds the test virus. That it passes over the largest files is wrong,
        and holds up nothing but those."""
        try:
            version = await self._clamd.version()
            if not await self._finds_the_test_virus():
                text = "it doesn't find the test virus of EICAR; let it load its signatures"
                return SelfTested([wrong(NAME, text)], works=False, refuses=True)
            findings = [*await self._lengths(largest_field), *await self._depth()]
        except ScannerAway as error:
            return SelfTested([away(str(error))], works=False)
        return SelfTested(findings or [self._fine(version, largest_field)], works=True)

    async def _finds_the_test_virus(self) -> bool:
        said = await self._clamd.look_into(probes.whole(probes.test_virus()), seconds=self._seconds)
        return read(said).meaning is Meaning.INFECTED

    async def _lengths(self, largest: int | None) -> list[Finding]:
        if not largest:
            return []
        try:
            said = await self._clamd.look_into(probes.as_long_as(largest), seconds=self._seconds)
        except ScannerAway as error:
            if not error.slow:
                raise
            text = f"the largest files of a field ({largest} bytes) take it too long"
            return [wrong("SCAN_SECONDS", f"{text}, and wait; give it more than {self._seconds:g}")]
        meaning = read(said).meaning
        if meaning in (Meaning.INFECTED, Meaning.UNSCANNABLE):
            self.believed = largest
        match meaning:
            case Meaning.INFECTED:
                return []
            case Meaning.UNSCANNABLE:
                what, change = (
                    "are not looked into, and rejected or accepted as such",
                    "MaxFileSize",
                )
            case Meaning.TOO_LONG:
                what, change = "are refused by it, and wait", "MaxFileSize and StreamMaxLength"
            case _:
                what = "are passed over without a word, and wait"
                change = "AlertExceedsMax yes, and MaxFileSize"
        text = f"the largest files of a field ({largest} bytes) {what}; set {change} to as many"
        return [wrong(NAME, f"{text} or more")]

    async def _depth(self) -> list[Finding]:
        said = await self._clamd.look_into(probes.whole(probes.nested()), seconds=self._seconds)
        if read(said).meaning is not Meaning.CLEAN:
            return []
        text = "archives deeper than it looks are clean to it; set AlertExceedsMax yes"
        return [warning(NAME, text)]

    def _fine(self, version: Version, largest: int | None) -> Finding:
        about = f"{version.engine}, signatures {version.database or 'without a number'}"
        upto = f", looks into files of {largest} bytes" if largest else ""
        return ok(AWAY, f"{self._clamd.where} answers: {about}{upto}")
