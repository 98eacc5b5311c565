"""Courses of training: from nothing, and on from there with what the one before left weak."""
import dataclasses
from typing import Callable

import data


def first_mix(progress):
    """[(kind, share of conversations, longest)].  Copying what stands in the window comes first: it teaches to look for
    what was there before, without which a list is guessed; then long lists, and long texts towards the end."""
    if progress < 0.12:
        return [(data.plain, 30, 256), (data.copies, 150, 64), (data.lists, 70, 64), (data.needles, 8, 128)]
    kinds = [(data.plain, 45, 256), (data.lists, 40, 256 if progress < 0.25 else 420),
             (data.copies, 15 if progress < 0.3 else 3, 200), (data.needles, 25, 256)]
    if progress >= 0.16:
        kinds.append((data.tools, 8, 700))
    if progress >= 0.3:
        kinds.append((data.needles, 4, 1100))
    if progress >= 0.6:
        kinds.append((data.needles, 1, 4096))
    return kinds


def second_mix(progress):
    """Everything at once: more to copy and to look up, more calls of tools, more long texts."""
    del progress
    return [(data.plain, 34, 256), (data.lists, 36, 420), (data.copies, 10, 200), (data.needles, 20, 256), (data.tools, 14, 700),
            (data.needles, 8, 1100), (data.needles, 1.5, 4096)]


def third_mix(progress):
    """More ways to ask, more names to copy, and the colors of all flags of a text, short ones first."""
    kinds = [(data.plain, 30, 256), (data.lists, 36, 420), (data.copies, 6, 200), (data.needles, 14, 256), (data.tools, 24, 700),
             (data.needles, 4, 1100), (data.majorities, 24, 320)]
    if progress >= 0.15:
        kinds += [(data.majorities, 6, 1100), (data.needles, 1, 4096)]
    if progress >= 0.4:
        kinds.append((data.majorities, 1, 4096))
    return kinds


def fourth_mix(progress):
    """A short one: names in calls of tools, and follow-ups."""
    del progress
    return [(data.plain, 36, 256), (data.follow_ups, 24, 200), (data.lists, 16, 420), (data.copies, 8, 200), (data.needles, 8, 256),
            (data.tools, 44, 700), (data.needles, 2, 1100), (data.needles, 0.5, 4096), (data.majorities, 16, 320),
            (data.majorities, 4, 1100), (data.majorities, 0.7, 4096)]


def fifth_mix(progress):
    """All of it once more, and the two steps from the most common color to what is said of it."""
    kinds = [(data.plain, 30, 256), (data.follow_ups, 6, 200), (data.lists, 14, 420), (data.copies, 4, 200), (data.needles, 8, 256),
             (data.tools, 18, 700), (data.needles, 2, 1100), (data.needles, 0.5, 4096), (data.majorities, 10, 320),
             (data.majorities, 3, 1100), (data.majorities, 0.5, 4096), (data.common_needles, 16, 420), (data.common_lists, 16, 420)]
    if progress >= 0.2:
        kinds += [(data.common_needles, 6, 1100), (data.common_needles, 0.7, 4096)]
    return kinds


def sixth_mix(progress):
    """A short one again: names in calls of tools, follow-ups, and what the fifth taught."""
    del progress
    return [(data.plain, 36, 256), (data.follow_ups, 24, 200), (data.lists, 14, 420), (data.copies, 8, 200), (data.needles, 6, 256),
            (data.tools, 46, 700), (data.needles, 1.5, 1100), (data.needles, 0.3, 4096), (data.majorities, 6, 320),
            (data.majorities, 1.5, 1100), (data.common_needles, 7, 420), (data.common_needles, 2, 1100), (data.common_needles, 0.3, 4096),
            (data.common_lists, 8, 420)]


def seventh_mix(progress):
    """What is most common in long texts, where it was guessed in one of six; the rest as in the sixth."""
    del progress
    return [(data.plain, 36, 256), (data.follow_ups, 20, 200), (data.lists, 14, 420), (data.copies, 8, 200), (data.needles, 6, 256),
            (data.tools, 46, 700), (data.needles, 1.5, 1100), (data.needles, 1, 4096), (data.majorities, 4, 320),
            (data.majorities, 2, 1100), (data.majorities, 1, 4096), (data.common_needles, 6, 420), (data.common_needles, 5, 1100),
            (data.common_needles, 7, 4096), (data.common_lists, 10, 420)]


@dataclasses.dataclass
class Course:
    mix: Callable
    rate: float             # learning rate at its peak
    select_from: float      # share of the course before which attention sees all compressed rows: the indexer watches
    draft_from: float       # the same for teaching the MTP block
    without_csa: float = 0  # share of long texts read without the rows of ratio 4: ratio 128 must carry them, too
    hidden_from: tuple = () # kinds read without them until the answer has named what is most common

    LONG = 768


COURSES = {"first": Course(first_mix, 3e-3, 0.55, 0.3), "second": Course(second_mix, 2e-3, 0, 0, without_csa=0.5),
           "third": Course(third_mix, 1.5e-3, 0, 0, hidden_from=(data.majorities,)),
           "fourth": Course(fourth_mix, 8e-4, 0, 0, hidden_from=(data.majorities,)),
           "fifth": Course(fifth_mix, 1.2e-3, 0, 0, hidden_from=(data.majorities, data.common_needles, data.common_lists)),
           "sixth": Course(sixth_mix, 9e-4, 0, 0, hidden_from=(data.majorities, data.common_needles, data.common_lists)),
           "seventh": Course(seventh_mix, 8e-4, 0, 0, hidden_from=(data.majorities, data.common_needles, data.common_lists))}
