"""The figures of both sides as rows with medians, spreads and ratios: a table for people, JSON for programs."""

import json
from collections import defaultdict
from statistics import median

OURS = ("orc", "")


class Report:
    """Collects the documents that each side printed for each measure, in the order they came."""

    def __init__(self):
        self.documents = defaultdict(list)  # (side, measure) to documents; a side is a peer's name and its setting
        self.remarks = []

    def add(self, side, measure, document):
        self.documents[side, measure].append(document)
        who = f"{' '.join(side).strip()}: {measure.title}"
        if document.get("errors") and "noWriteMs" not in document:  # without a leader operations do fail
            self.remarks.append(f"{who}: {document['errors']} operations failed: {document.get('firstError', '')}")
        if document.get("lost"):
            self.remarks.append(f"{who}: {document['lost']} acknowledged writes LOST")

    def rows(self):
        """One per figure and peer. Of a peer measured with several settings the better one bears its name alone."""
        rows = []
        for measure in dict.fromkeys(measure for _, measure in self.documents):
            sides = [side for side, of in self.documents if of == measure and side != OURS]
            for figure in measure.figures:
                candidates = [self.row(side, measure, figure) for side in dict.fromkeys(sides)]
                rows += name_the_better(candidates or [self.row(("", ""), measure, figure)], figure)
        return sorted((row for row in rows if row["ours"] or row["theirs"]), key=order)

    def row(self, side, measure, figure):
        ours, theirs = (values(self.documents.get((who, measure), []), figure.field) for who in (OURS, side))
        mine, its = (median(list_) if list_ else None for list_ in (ours, theirs))
        ratio = None
        if mine and its:
            ratio = its / mine if figure.smaller_is_better else mine / its
        return {
            "work": figure.work, "inFlight": measure.in_flight, "nodes": measure.nodes, "peer": side[0],
            "setting": side[1], "ours": mine, "theirs": its, "ratio": ratio, "bar": figure.bars.get(side[0]),
            "runs": {"ours": ours, "theirs": theirs},
        }  # fmt: skip


def values(documents, field):
    return [document[field] for document in documents if document.get(field) is not None]


def name_the_better(rows, figure):
    sign = -1 if figure.smaller_is_better else 1
    for peer in {row["peer"] for row in rows}:
        rivals = [row for row in rows if row["peer"] == peer and row["theirs"] is not None]
        for row in sorted(rivals, key=lambda row: sign * row["theirs"])[:-1]:
            row.update(peer=f"{peer}, {row['setting']}", bar=None)
    return rows


def order(row):
    return row["work"][:2], -row["nodes"], row["inFlight"] == 0, row["work"], row["inFlight"], row["peer"]


def write(rows, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1) + "\n")


def table(rows, rounds):
    """Lines of a table; the ratio is larger where ours is better, also for latencies."""
    header = ("work", "in flight", "nodes", "peer", "setting", "ours (min-max)", "theirs (min-max)", "ratio", "bar")
    cells = [header, *(cells_of(row) for row in rows)]
    width = [max(len(row[column]) for row in cells) for column in range(len(header))]
    yield f"median (min-max) of {rounds}; a ratio above 1 means that ours is better"
    for row in cells:
        aligned = (cell.ljust(width[i]) if i in (0, 3, 4) else cell.rjust(width[i]) for i, cell in enumerate(row))
        yield "  ".join(aligned).rstrip()


def cells_of(row):
    peer = row["peer"].partition(",")[0] or "-"
    bar = "" if row["bar"] is None else f"{row['bar']:g}"
    if bar and row["ratio"] is not None:
        bar += " met" if row["ratio"] >= row["bar"] else " NOT met"
    return (
        row["work"], str(row["inFlight"] or ""), str(row["nodes"]), peer, row["setting"],
        spread(row["runs"]["ours"]), spread(row["runs"]["theirs"]),
        "-" if row["ratio"] is None else f"{row['ratio']:.2f}", bar,
    )  # fmt: skip


def spread(list_):
    return f"{number(median(list_))} ({number(min(list_))}-{number(max(list_))})" if list_ else "-"


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
