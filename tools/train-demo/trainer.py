"""Forward and backward of one step, and the state of a run on disk."""
import os

import torch
from torch.nn import functional as F

import batches
import config
from formats import round_weight as rounded
from model import Model, Notes

MTP_SHARE = 0.25       # of the batches teach the MTP block; it learns from the streams without changing them


def weighted_loss(rows, targets, weights, head):
    """Sum of weighted cross entropies; the head is only asked where something counts."""
    at = weights.nonzero().squeeze(1)
    at = F.pad(at, (0, -len(at) % 256), value=int((weights == 0).nonzero()[0]))   # few different sizes, see experts.py
    losses = F.cross_entropy(head(rows[at]), targets[at], reduction="none")
    return (losses * weights[at]).sum(), losses, weights[at]


def backward(model, group, course, progress, rng):
    """Gradients of a step's batches -> (mean loss of what the model writes, indexer's loss, drafts' loss)."""
    total = sum(w.sum() for _, w, _ in group).clamp(min=1)
    written = [0.0, 0]
    index_sum, draft = 0.0, [0.0, 0.0]
    for ids, weights, blind in group:
        notes = Notes(all_rows=progress < course.select_from, blind=blind)
        h = model.hidden(ids, notes)
        following, weight = F.pad(ids[:, 1:], (0, 1)).flatten(), F.pad(weights[:, 1:], (0, 1)).flatten()
        loss, each, counts = weighted_loss(model.rows(h), following, weight, model.logits)
        index = sum(notes.index_losses) if notes.index_losses else torch.zeros(())
        loss = loss / total + index / len(group)
        if len(model.mtp) and progress >= course.draft_from and rng.random() < MTP_SHARE:
            rows = model.draft_rows(h.detach(), ids, Notes())
            later = F.pad(ids[:, 2:], (0, 1)).flatten()
            later_weight = F.pad(weights[:, 2:], (0, 1)).flatten()
            extra, _, _ = weighted_loss(rows, later, later_weight, lambda r: F.linear(r, model.head.weight.detach()))
            loss = loss + extra / total
            draft = [draft[0] + extra.item(), draft[1] + later_weight.sum().item()]
        loss.backward()
        answer = counts == 1
        written = [written[0] + each[answer].sum().item(), written[1] + int(answer.sum())]
        index_sum += float(index) / len(group)
    return written[0] / max(written[1], 1), index_sum, draft[0] / draft[1] if draft[1] else float("nan")


def save(path, model, optimizer, **state):
    """All or nothing: a kill leaves the old file or the new one."""
    part = str(path) + ".part"
    torch.save(dict(cfg=model.cfg, optimizer=optimizer.tensors(), buffers=dict(model.named_buffers()), **state), part)
    os.replace(part, path)


def restore(path, model, optimizer):
    saved = torch.load(path, map_location="cpu")
    mine = optimizer.tensors()
    for name, t in saved["optimizer"].items():
        mine[name].copy_(t)
    buffers = dict(model.named_buffers())
    for name, t in saved["buffers"].items():
        if name.endswith(("bias", "tid2eid")):
            buffers[name].copy_(t)
    model.round_all(optimizer.masters)
    return saved


def load_model(path):
    """The model of a saved run, rounded as it will be written."""
    saved = torch.load(path, map_location="cpu")
    model = Model(saved["cfg"])
    model.round_all({n[len("master."):]: t for n, t in saved["optimizer"].items() if n.startswith("master.")})
    buffers = dict(model.named_buffers())
    for name, t in saved["buffers"].items():
        if name.endswith(("bias", "tid2eid")):
            buffers[name].copy_(t)
    return model.eval()


def new_model(vocab_size, seed):
    torch.manual_seed(seed)
    return Model(config.sized(vocab_size=vocab_size))
