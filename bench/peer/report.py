"""The table and the record of a comparison."""

from dataclasses import asdict, dataclass
from statistics import median

PEERS = ("eager", "compiled")


@dataclass
class Targets:
    speed: float | None
    memory: float | None


def tokens_per_s(result, name: str) -> float | None:
    rounds = result.rounds.get(name)
    return result.case.tokens / median(s for r in rounds for s in r.seconds) if rounds else None


def peak(result, name: str | None) -> float | None:
    rounds = result.rounds.get(name)
    return max(r.peak_mib for r in rounds) if rounds else None


def best(result) -> str | None:
    """The peer's faster mode."""
    rates = {name: tokens_per_s(result, name) for name in PEERS}
    rates = {name: rate for name, rate in rates.items() if rate}
    return max(rates, key=rates.get) if rates else None


def speed_ratio(result) -> float | None:
    """Median over the rounds: ropewalk's tokens a second over the best peer's."""
    ours, peers = result.rounds.get("ropewalk"), result.rounds.get(best(result))
    if not ours or not peers:
        return None
    return median(median(b.seconds) / median(a.seconds) for a, b in zip(ours, peers))


def memory_ratio(result) -> float | None:
    ours, peers = peak(result, "ropewalk"), peak(result, best(result))
    return ours / peers if ours and peers else None


COLUMNS = "{:<10}{:>7}{:>6}{:>8}{:>6} |{:>10}{:>10}{:>10}{:>10}{:>12} |{:>8}{:>8}{:>12}  {}"


def head(about: dict) -> str:
    facts = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in about.items())
    first = COLUMNS.format(
        *("", "", "", "", ""), *("tokens/s:", "peer", "peer", "peer", "ropewalk"),
        *("MiB:", "best", "ropewalk"), "",
    )  # fmt: skip
    second = COLUMNS.format(
        *("model", "layers", "width", "L", "batch"),
        *("ropewalk", "eager", "compiled", "best", "/ peer"),
        *("ropewalk", "peer", "/ peer"), "",
    )  # fmt: skip
    return f"{facts}\n\n{first.rstrip()}\n{second.rstrip()}"


def number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def judged(value: float | None, reached: bool | None) -> str:
    """A ratio, and whether it is where the target wants it."""
    mark = "" if reached is None or value is None else " ok" if reached else " no"
    return number(value, 2) + mark


def row(result, targets: Targets) -> str:
    speed, memory = speed_ratio(result), memory_ratio(result)
    fast = speed >= targets.speed if speed and targets.speed else None
    small = memory <= targets.memory if memory and targets.memory else None
    rates = [tokens_per_s(result, name) for name in ("ropewalk", *PEERS, best(result))]
    peaks = [peak(result, name) for name in ("ropewalk", best(result))]
    case = result.case
    return COLUMNS.format(
        *(case.mixer, case.layers, case.width, case.length, case.batch),
        *map(number, rates), judged(speed, fast), *map(number, peaks), judged(memory, small),
        "; ".join(f"{name}: {why}" for name, why in result.failures.items()),
    ).rstrip()  # fmt: skip


def record(about: dict, results: list) -> dict:
    """For --json."""
    rows = [
        {
            **asdict(result.case),
            "contenders": {
                name: {
                    "tokens_per_s": tokens_per_s(result, name),
                    "peak_mib": peak(result, name),
                    "rounds": [asdict(one) for one in rounds],
                }
                for name, rounds in result.rounds.items()
            },
            "failures": result.failures,
            "best": best(result),
            "speed_ratio": speed_ratio(result),
            "memory_ratio": memory_ratio(result),
        }
        for result in results
    ]
    return {"about": about, "rows": rows}
