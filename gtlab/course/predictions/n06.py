"""The predictions of 06_break_it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtlab import regions
from gtlab.course.predictions import NotMeasured, Option, Question, Truth

_QUEUED_MS = 1500.0  # lags that differ by more than this are those of a queue


def _cut(during: Any) -> Truth:
    """``during``: what each Region read during the cut, home first, and then the Region that was cut off from it."""
    reads = _reads(during)
    home, other = list(reads.values())[:2]
    option = "both" if (home, other) == ("at home", "elsewhere") else "one" if home == other else "neither"
    return Truth(option, f"{_words(reads)}.")


def _winner(after: Any) -> Truth:
    """``after``: what each Region reads after the repair, once all of them agree."""
    reads = _reads(after)
    if len(found := set(reads.values())) != 1:
        raise NotMeasured("The Regions do not agree yet. Wait a moment, and run the cell above again.")
    option = {"elsewhere": "later", "at home": "first"}.get(found.pop(), "neither")
    return Truth(option, f"{_words(reads)}.")


def _trace(records: Any) -> Truth:
    """``records``: streams.frame of the streams of the two Regions, home first, with WrittenIn."""
    replaced = records[(records["old WrittenIn"] == records["stream of"]) & (records["new WrittenIn"] != "")
                       & (records["new WrittenIn"] != records["stream of"])]
    streams = list(dict.fromkeys(records["stream of"]))
    if len(streams) < 2:
        raise NotMeasured("The streams of both Regions are needed. Run the cell above again.")
    where = [region for region in streams if region in set(replaced["stream of"])]
    counts = ", ".join(f"{regions.get(region).place} {sum(replaced['stream of'] == region)}" for region in streams)
    option = {(True, False): "loser", (False, True): "winner", (True, True): "both"}.get(
        (streams[0] in where, streams[1] in where), "nowhere")
    return Truth(option, f"records in which a Region's own value is replaced by another Region's: {counts}.")


def _counter(plays: Any) -> Truth:
    """``plays``: how many increments were ``acknowledged``, half of them on each side, and how many are ``counted``."""
    acknowledged, counted = int(plays["acknowledged"]), int(plays["counted"])
    option = "ten" if counted == acknowledged else "five" if 2 * counted == acknowledged else "other"
    return Truth(option, f"{acknowledged} increments were acknowledged, and the counter is {counted}.")


def _ticket(sold: Any) -> Truth:
    """``sold``: the names of the buyers whose put was accepted, of Ann at home and then Ben elsewhere."""
    if not isinstance(sold, list) or not sold or not set(sold) <= {"Ann", "Ben"}:
        raise NotMeasured("Pass the list of buyers whose put was accepted.")
    option = {("Ann",): "second", ("Ben",): "first"}.get(tuple(sold), "neither")
    return Truth(option, f"the ticket was sold to {' and to '.join(sold)}.")


def _queue(lags_ms: Any) -> Truth:
    """``lags_ms``: the lag of each item in the throttled Region, in the order of the puts, in milliseconds."""
    if lags_ms is None:
        raise NotMeasured("This needs the local cloud: its journal has the lag of each item.")
    lags = [float(each) for each in lags_ms]
    if len(lags) < 4:
        raise NotMeasured("The journal does not have these deliveries. Run the cells above again.")
    # They need not arrive in the order of the puts. Without a limit, the lags differ by about a second at most.
    first, last = min(lags), max(lags)
    return Truth("grows" if last - first > _QUEUED_MS else "same",
                 f"of the {len(lags)} items, the first one to arrive took {first:,.0f} ms, and the last one "
                 f"{last:,.0f} ms.")


def _paused(seen: Any) -> Truth:
    """``seen``: what watch.look returned, home first, while FIS paused replication."""
    if not isinstance(seen, Mapping) or len(seen) < 2:
        raise NotMeasured("Pass what watch.look returned, home first.")
    home, other = list(seen.values())[:2]
    option = "refused" if home != "there" else "arrives" if other == "there" else "waits"
    return Truth(option, f"at home the item is {home}, in the other Region it is {other}.")


def _reads(value: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping) or len(value) < 2 or not all(isinstance(each, str) for each in value.values()):
        raise NotMeasured("Pass what each Region read, home first.")
    return value


def _words(reads: Mapping[str, str]) -> str:
    return ", ".join(f"{regions.get(region).place} read “{text}”" for region, text in reads.items())


QUESTIONS = (
    Question(
        "06-cut", "Home cannot reach the other Region. You put an item at home, then the same item there. What "
                  "happens?",
        {"refused": Option("The second put is refused: the Regions cannot agree",
                           "They do not try to agree. Each Region answers by itself, cut or not."),
         "one": Option("Both puts are accepted, and both Regions read the second one",
                       "Nothing passes between the two, so neither can read what the other has."),
         "both": Option("Both puts are accepted, and each of the two Regions reads its own",
                        "This time the two Regions agreed: nothing was cut between them."),
         "neither": Option("Both puts wait until the cable is repaired",
                           "A put waits for its own Region only.")},
        _cut,
        {"both": "A Region that cannot reach another one accepts requests as usual: it has no way to know what happens "
                 "there. It reports no error and no warning.",
         "one": "Nothing was cut, so the second put reached home by replication.",
         "neither": "The reads were neither of the two puts: another write came between them."},
        usual=("both",)),
    Question(
        "06-winner", "Both puts were acknowledged. After the repair, which one do the Regions have?",
        {"first": Option("The first one: it was there before",
                         "Being first does not count. The time of the write decides, and the later one wins."),
         "later": Option("The later one, in every Region", "The later write should win. It did not in this run."),
         "neither": Option("Both, merged attribute by attribute",
                           "DynamoDB does not merge. A whole item wins, and the other whole item is gone."),
         "differ": Option("Each Region keeps its own until somebody decides",
                          "Replicas converge by themselves: all of them apply the same rule.")},
        _winner,
        {"later": "This is “last writer wins”. The earlier write was acknowledged, and could be read for seconds. Now "
                  "it is in no Region. A third "
                  "Region, if you have one, had received both writes, and kept the later one all the time.",
         "first": "The put that was made first has the later time: the clocks of the two Regions differ.",
         "neither": "A write that is neither of the two came later."},
        usual=("later",)),
    Question(
        "06-trace", "Where does AWS leave a trace of the write that was lost?",
        {"metric": Option("In a CloudWatch metric, or a CloudTrail event",
                          "AWS publishes neither for a conflict. CloudTrail can log the put, but not that it was "
                          "lost."),
         "loser": Option("In the stream of the Region whose write lost", "This time that stream does not show it."),
         "winner": Option("In the stream of the Region whose write won",
                          "The losing write was discarded where it arrived. A write that changes nothing leaves no "
                          "record."),
         "both": Option("In the streams of both Regions",
                        "Only one side has replaced a value of its own. The winner's Region has changed nothing."),
         "nowhere": Option("Nowhere", "No answer, metric, or log has it. But a stream records every change of an item, "
                                      "and one Region's item has changed.")},
        _trace,
        {"loser": "In that stream, a replicated write replaces the Region's own value. (A third Region's stream shows "
                  "it, too, if the losing write arrived there first.) It is the practical conflict detector: you need "
                  "an attribute that says where each write was made.",
         "nowhere": "No Region's own value was replaced: there was no conflict in this run.",
         "winner": "This time the write at home was the later one, so the other Region lost its value.",
         "both": "Each Region lost a value of its own: there was more than one conflict."},
        usual=("loser",)),
    Question(
        "06-counter", "Five increments on each side of the cut are acknowledged. What is the counter after the repair?",
        {"ten": Option("10: the increments are added up",
                       "Replication copies the whole item with its sum, not the instruction “add one”."),
         "five": Option("5: one side's increments are lost",
                        "That needs a cut that separates all of them. Here some reached the other side in time."),
         "other": Option("Another number: some of them are lost",
                         "Within each Region every increment counts, and one side's sum wins as a whole. Without a "
                         "cut, increments that cross each other on their way can leave another number.")},
        _counter,
        {"five": "Each side counted to five. The item with the later write won, with its five plays, and the other "
                 "five are gone. Writes to two different attributes of the item would not be merged either.",
         "ten": "Nothing was cut, and every increment arrived before the next one on the other side.",
         "other": "Without a cut, the increments that had not seen each other were lost."},
        usual=("five",)),
    Question(
        "06-ticket", "Two buyers, one on each side of the cut, want the last ticket. Which put is refused?",
        {"second": Option("The second: its condition is false",
                          "The condition is checked against the copy of the Region that is called, and that copy has "
                          "no buyer."),
         "first": Option("The first: it loses to the later one",
                         "It loses, but nobody refuses it: the put was acknowledged long before."),
         "neither": Option("Neither", "This time the first buyer was known in time."),
         "both": Option("Both: nobody can check the condition during a cut",
                        "Each Region checks it by itself. It needs no other Region for that.")},
        _ticket,
        {"neither": "Each Region evaluated the condition against its own copy, and neither had seen a buyer. This does "
                    "not need a cut: it can happen during the usual lag, too.",
         "second": "Nothing was cut, and the first buyer had arrived in the other Region.",
         "first": "The ticket had been sold at home before."},
        usual=("neither",)),
    Question(
        "06-queue", "A replica has the capacity for one or two new items per second, and you put six items at home at "
                    "once. What happens?",
        {"refused": Option("The puts at home are throttled, too",
                           "Home has capacity of its own. It acknowledges, and does not ask the replica."),
         "same": Option("Nothing: replicated writes need no capacity there",
                        "A replicated write uses write capacity in the Region where it arrives."),
         "grows": Option("All items arrive, but the last ones only after seconds",
                         "This time all of them arrived almost together: the capacity was enough."),
         "dropped": Option("The items beyond the capacity are dropped", "They wait. Replication drops nothing.")},
        _queue,
        {"grows": "The puts are as fast as before, and the replica falls behind: the writes wait in a queue. On AWS "
                  "this is the usual cause of a growing ReplicationLatency, and more capacity in the receiving Region "
                  "helps.",
         "same": "The capacity was enough for these writes."},
        usual=("grows",)),
    Question(
        "06-paused", "FIS has paused replication, and you put an item at home. What do you see two seconds later?",
        {"refused": Option("The put is refused while replication is paused",
                           "Home needs no other Region to accept a write."),
         "waits": Option("The item is at home only", "This time it had arrived, so replication was not paused."),
         "arrives": Option("The item is in both Regions: FIS only slows replication down",
                           "The action pauses replication to and from the table's replicas completely.")},
        _paused,
        {"waits": "The write waits. When the experiment ends, replication catches up by itself.",
         "arrives": "The write passed: the experiment did not cover this table, had not begun or had ended.",
         "refused": "The put is not at home: it was not made, or it has been deleted."},
        usual=("waits",)),
)
