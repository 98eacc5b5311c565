"""Trains the demo model for so many minutes, or goes on where a run stopped.

    /usr/bin/python3 train.py RUN_DIR --minutes 150 [--processes 2] [--seed 1]
    python3 train.py RUN_DIR --device cuda --batches 16

RUN_DIR gets tokenizer.json, state.pt (replaced every few minutes; a killed run resumes from it), log.csv and exam.csv.
Two processes with a thread each share the weights: each learns from its own conversations, then updates half of the
parameters.  That is about twice as fast as two threads, which wait for one another in every small operation.
"""
import argparse
import csv
import ctypes
import json
import math
import os
import pathlib
import random
import shutil
import signal
import sys
import time

import torch
from torch import multiprocessing as mp

import batches
import courses
import data
import exam
import fast
import load
import muon
import tokenizer
import trainer


def arguments():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("run")
    p.add_argument("--minutes", type=float, default=150)
    p.add_argument("--stop-after", type=float, help="minutes of this call; resume later (default: to the end)")
    p.add_argument("--steps", type=int, help="stop after so many steps, with a schedule of steps instead of minutes")
    p.add_argument("--device", default="cpu", help="of PyTorch; one process if it is not the CPU")
    p.add_argument("--processes", type=int, default=2)
    p.add_argument("--batches", type=int, default=1, help="of 2048 tokens, a step and process")
    p.add_argument("--course", choices=courses.COURSES, default="first")
    p.add_argument("--lr", type=float, help="learning rate at its peak (default: the course's)")
    p.add_argument("--optimizer", choices=["muon", "adamw"], default="muon")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--from", dest="start", metavar="CHECKPOINT", help="go on from these weights and their vocabulary")
    p.add_argument("--save-every", type=float, default=4, help="minutes")
    p.add_argument("--exam-every", type=float, default=8, help="minutes; 0: never")
    p.add_argument("--plain", action="store_true", help="products in float32, no C kernels")
    args = p.parse_args()
    args.lr = args.lr or courses.COURSES[args.course].rate
    if args.device != "cpu":
        args.processes = 1
    return args


def learning_rate(progress, peak):
    """Warm up in the first 2 %, then down along a cosine to 3 %."""
    warm = min(1.0, (progress + 1e-4) / 0.02)
    return peak * warm * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def shared_out(model, n):
    """Names of parameters for each process: about the same work, most of which is Muon's."""
    names = sorted(((p.numel() * (20 if p.muon else 1), name) for name, p in model.named_parameters()), reverse=True)
    work, mine = [0] * n, [[] for _ in range(n)]
    for cost, name in names:
        least = work.index(min(work))
        work[least] += cost
        mine[least].append(name)
    return mine


class Clock:
    """Seconds of training over all calls, and how far the run is; process 0 writes, the others read.

    The seconds are those of process 0 on its core: a machine that does other work in between makes a run longer, not
    shorter."""

    def __init__(self, args):
        self.args, self.state = args, torch.zeros(3, dtype=torch.float64).share_memory_()   # seconds, step, stop

    def progress(self):
        if self.args.steps:
            return self.state[1].item() / self.args.steps
        return self.state[0].item() / (60 * self.args.minutes)


def end_with_parent():
    """A process whose parent was killed would wait for it forever (Linux: prctl, PR_SET_PDEATHSIG)."""
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    except AttributeError:
        pass


def forget_after(path, step):
    """Lines of a log that a killed run wrote behind its last checkpoint."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    path.write_text("".join(l for l in lines if int(l.split(",")[0]) <= step))


class Worker:
    def __init__(self, args, index, model, optimizer, tok, clock, gradients, loads, barrier):
        self.args, self.index, self.model, self.optimizer, self.tok = args, index, model, optimizer, tok
        self.clock, self.gradients, self.loads, self.barrier = clock, gradients, loads, barrier
        self.mine = shared_out(model, args.processes)[index]
        self.course = courses.COURSES[args.course]
        self.source = batches.Source(tok, self.course, f"{args.seed} {index} {int(clock.state[1])}")   # a resumed run draws anew

    def gradient(self, name):
        return sum(g[name] for g in self.gradients) / len(self.gradients)

    def hand_in(self):
        """This process's gradients, clipped, and the loads of its experts, where all can read them."""
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for name, p in self.model.named_parameters():
            if p.grad is None:
                self.gradients[self.index][name].zero_()
            else:
                self.gradients[self.index][name].copy_(p.grad)
            p.grad = None
        for load, block in zip(self.loads[self.index], self.blocks()):
            load.copy_(block.ffn.gate.load)
            block.ffn.gate.load.zero_()

    def blocks(self):
        return [*self.model.layers, *self.model.mtp]

    def update(self, progress):
        self.optimizer.step(self.mine, self.gradient, learning_rate(progress, self.args.lr), int(self.clock.state[1]) + 1)
        named = self.optimizer.named
        with torch.no_grad():
            for n in self.mine:
                named[n].copy_(trainer.rounded(self.optimizer.masters[n], named[n].kind))
            if self.index == 0:
                for i, block in enumerate(self.blocks()):
                    block.ffn.gate.load.copy_(sum(loads[i] for loads in self.loads))
                    block.ffn.gate.balance(0.002 * (1 - progress))

    def step(self):
        args, step, progress = self.args, int(self.clock.state[1]), self.clock.progress()
        self.model.train()
        group = [tuple(t.to(args.device) for t in batch) for batch in (self.source.batch(progress) for _ in range(args.batches))]
        rng = random.Random(f"mtp {args.seed} {self.index} {step}")
        result = trainer.backward(self.model, group, self.course, progress, rng)
        self.hand_in()
        self.barrier.wait()
        self.update(progress)
        self.barrier.wait()
        return result, sum(ids.numel() for ids, _, _ in group), sum(int((w > 0).sum()) for _, w, _ in group)

    def run(self):
        if self.index > 0:
            end_with_parent()
        torch.set_num_threads(1)
        fast.use((fast.has_bf16_units() or self.args.device != "cpu") and not self.args.plain, not self.args.plain)
        keeper = Keeper(self) if self.index == 0 else None
        while not self.clock.state[2]:
            result = self.step()
            if keeper:
                keeper.after(*result)
            self.barrier.wait()   # all see the same clock


class Keeper:
    """Process 0: clock, log, exam, checkpoints."""

    def __init__(self, worker):
        self.w, self.args = worker, worker.args
        self.dir = pathlib.Path(self.args.run)
        self.started = self.last = self.saved = self.examined = time.monotonic()
        self.worked = time.process_time()
        for name in ("log.csv", "exam.csv"):
            forget_after(self.dir / name, int(worker.clock.state[1]))
        self.log = open(self.dir / "log.csv", "a", newline="")
        self.writer = csv.writer(self.log)

    def after(self, result, padded, tokens):
        now, worked, state = time.monotonic(), time.process_time(), self.w.clock.state
        state[0] += worked - self.worked
        state[1] += 1
        self.worked = worked
        speed = tokens * self.args.processes / (now - self.last)
        self.last = now
        loss, index, draft = result
        row = [int(state[1]), round(state[0].item(), 1), round(self.w.clock.progress(), 4), round(loss, 4), round(index, 4),
               round(draft, 4), tokens, padded, round(speed)]
        self.writer.writerow(row)
        self.log.flush()
        if int(state[1]) % 10 == 1:
            print("step {} seconds {} progress {} loss {} index {} draft {} tokens {} padded {} tokens/s {}".format(*row), flush=True)
        done = self.w.clock.progress() >= 1
        stop = done or (self.args.stop_after and now - self.started >= 60 * self.args.stop_after)
        if stop or now - self.saved >= 60 * self.args.save_every:
            trainer.save(self.dir / "state.pt", self.w.model, self.w.optimizer, clock=state.clone())
            self.saved = time.monotonic()
        if self.args.exam_every and (done or now - self.examined >= 60 * self.args.exam_every):
            self.exam(done)
        state[2] = float(bool(stop))

    def exam(self, done):
        """Its time counts: the budget is for everything."""
        results = exam.take(self.w.model, self.w.tok, 40 if done else 12, long=done or self.w.clock.progress() > 0.6)
        with open(self.dir / "exam.csv", "a", newline="") as f:
            csv.writer(f).writerow([int(self.w.clock.state[1]), *(f"{k}={v:.3f}" for k, v in results.items())])
        print("exam", *(f"{k} {100 * v:.0f}%" for k, v in results.items()), flush=True)
        self.examined = time.monotonic()


def prepare(run, args):
    """The vocabulary, the model, and the optimizer; from state.pt if there is one."""
    run.mkdir(parents=True, exist_ok=True)
    path = run / "tokenizer.json"
    if not path.exists() and args.start:
        shutil.copyfile(pathlib.Path(args.start) / "tokenizer.json", path)
    elif not path.exists():
        path.write_text(json.dumps(tokenizer.document(data.learn_vocabulary()), ensure_ascii=False), encoding="utf-8")
    tok = tokenizer.Tokenizer(path)
    model = (load.load(args.start).train() if args.start else trainer.new_model(tok.n, args.seed)).to(args.device)
    optimizer = muon.Optimizer(model, args.optimizer == "muon")
    model.round_all(optimizer.masters)
    clock = Clock(args)
    if (run / "state.pt").exists():
        clock.state.copy_(trainer.restore(run / "state.pt", model, optimizer)["clock"])
        clock.state[2] = 0
    return tok, model, optimizer, clock


def keep_memory():
    """Tensors of some MB come and go all the time.  By default glibc fetches each from the system and gives it back,
    and the system clears every page in between: starts this program again with settings that keep it, in huge pages."""
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
        tunables = dict(hugetlb=1, mmap_max=0, trim_threshold=1 << 34, top_pad=1 << 28)
        os.environ["GLIBC_TUNABLES"] = ":".join(f"glibc.malloc.{k}={v}" for k, v in tunables.items())
        os.execv(sys.executable, [sys.executable, *sys.argv])


def main():
    args = arguments()
    keep_memory()
    torch.set_num_threads(1)
    tok, model, optimizer, clock = prepare(pathlib.Path(args.run), args)
    if clock.progress() >= 1:
        print("this run is complete")
        return
    for t in optimizer.tensors().values():
        t.share_memory_()
    for p in model.parameters():
        p.data.share_memory_()
    for name, b in model.named_buffers():
        if name.endswith("bias"):
            b.share_memory_()
    gradients = [{n: torch.zeros_like(p.data).share_memory_() for n, p in model.named_parameters()}
                 for _ in range(args.processes)]
    loads = [[torch.zeros(model.cfg["n_routed_experts"]).share_memory_() for _ in [*model.layers, *model.mtp]]
             for _ in range(args.processes)]
    context = mp.get_context("fork")
    barrier = context.Barrier(args.processes)
    workers = [Worker(args, i, model, optimizer, tok, clock, gradients, loads, barrier) for i in range(args.processes)]
    others = [context.Process(target=w.run, daemon=True) for w in workers[1:]]
    for process in others:
        process.start()
    workers[0].run()
    for process in others:
        process.join()


if __name__ == "__main__":
    main()
