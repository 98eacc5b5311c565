"""Checks of the trainer against what it must agree with.  Each prints figures, and exits 1 if they are not good enough.

    check.py reference V4REF.py        logits of a random model against an executable specification in numpy, which
                                       has Checkpoint(directory) and Model(checkpoint).hidden, .logits and .draft
    check.py engine BIN [RUN_DIR]      logits of a random model (or a run's) against gguf-convert and ggl-eval
    check.py encoding BIN TOKENIZER    prompts and tokens against ggl-encode and ggl-tokenize
    check.py gradients                 every parameter gets one
    check.py kernels                   hyper_connection.c against hyper_connection.py; products in BF16
    check.py checkpoint                what export.py writes, read by load.py
"""
import importlib.util
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import torch

import chat
import config
import data
import export
import fast
import hyper_connection as hc
import load
import parts
import tokenizer
import trainer
from model import Model, Notes


def random_model(seed=1, **changes):
    """Weights with enough spread that every mechanism shows in the logits."""
    torch.manual_seed(seed)
    model = Model(config.sized(**changes))
    masters = model.masters()
    for name, m in masters.items():
        if name.endswith("scale"):
            m += 0.5 + torch.rand_like(m) * 0.5
        elif name.endswith(("base", "sink")):
            m += torch.randn_like(m)
        elif "norm" in name:
            m += torch.randn_like(m) * 0.1
    model.round_all(masters)
    for name, b in model.named_buffers():
        if name.endswith("gate.bias"):
            b.normal_(0, 0.1)
    return model.eval()


@torch.no_grad()
def logits_of(model, tokens):
    notes = Notes()
    ids = torch.tensor([tokens])
    h = model.hidden(ids, notes)
    return model.logits(model.rows(h)), model.logits(model.draft_rows(h, ids, notes))


def compare(what, a, b, worst_median=1e-4, worst=5e-3, least_same=0.96):
    """Normalised squared error, overall and of the median row, and how often the greedy token is the same."""
    a, b = a.double(), b.double()
    square, size = ((a - b) ** 2).sum(-1), (b ** 2).sum(-1)
    overall, median = (square.sum() / size.sum()).item(), (square / size).median().item()
    same = (a.argmax(-1) == b.argmax(-1)).double().mean().item()
    print(f"{what}: NMSE {overall:.3g}, median row {median:.3g}, same greedy token {100 * same:.1f} %")
    return overall <= worst and median <= worst_median and same >= least_same


def some_tokens(model, n=400):
    return torch.randint(0, model.cfg["vocab_size"], (n,), generator=torch.Generator().manual_seed(5)).tolist()


def load_module(path):
    spec = importlib.util.spec_from_file_location("specification", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_reference(path):
    """With the rounding of the caches, where now and then a code or the choice of a row flips; and without either,
    which proves the arithmetic."""
    import numpy
    spec, good = load_module(path), True
    for exact in (False, True):
        model = random_model(index_topk=256) if exact else random_model()
        tokens = some_tokens(model)
        parts.CACHE_ROUNDING = not exact
        with tempfile.TemporaryDirectory() as directory:
            export.write_checkpoint(model, directory)
            reference = spec.Model(spec.Checkpoint(directory), cache_qat=not exact)
            h = reference.hidden(tokens)
            expected = torch.tensor(reference.logits(h)), torch.tensor(reference.draft(h[:-1], numpy.array(tokens[1:])))
        for what, a, b in zip(("logits", "draft logits"), logits_of(model, tokens), expected):
            what += ", all rows chosen, no cache rounding" if exact else ""
            good &= compare(what, a, b, *((1e-10, 1e-9) if exact else (1e-4, 5e-3)))
    parts.CACHE_ROUNDING = True
    return good


def floats(path, width):
    return torch.frombuffer(bytearray(pathlib.Path(path).read_bytes()), dtype=torch.float32).view(-1, width)


def check_engine(bin_directory, run=None):
    """A run is asked about a conversation with a list; its greedy answers must be the engine's."""
    if run:
        model = trainer.load_model(pathlib.Path(run) / "state.pt")
        tok = tokenizer.Tokenizer(pathlib.Path(run) / "tokenizer.json")
        tokens = data.encode(tok, data.lists(random.Random(8), 400), True)[0]
    else:
        model = random_model()
        tokens = some_tokens(model)
    with tempfile.TemporaryDirectory() as directory:
        d = pathlib.Path(directory)
        export.write_checkpoint(model, d / "checkpoint")
        (d / "tokens").write_text(" ".join(map(str, tokens)))
        source = d / "checkpoint"
        tool = pathlib.Path(bin_directory)
        subprocess.run([tool / "gguf-convert", source, d / "model.gguf", "--type", "native", "--verify", "-q"],
                       check=True, stdout=subprocess.DEVNULL)
        subprocess.run([tool / "ggl-eval", "-m", d / "model.gguf", "--tokens", d / "tokens", "--logits", d / "l",
                        "--draft-logits", d / "dl", "-q"], check=True, stdout=subprocess.DEVNULL)
        expected = floats(d / "l", model.cfg["vocab_size"]), floats(d / "dl", model.cfg["vocab_size"])
    return all([compare(what, a, b) for what, a, b in zip(("logits", "draft logits"), logits_of(model, tokens), expected)])


def run_lines(command, lines):
    text = "".join(line + "\n" for line in lines)
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout.splitlines()


def check_encoding(bin_directory, tokenizer_json):
    """Prompts as the trainer and as ggl-encode write them, and their tokens."""
    rng, tool = random.Random(3), pathlib.Path(bin_directory)
    kinds = [data.plain, data.lists, data.needles, data.tools]
    made = [(kind(rng, 400), rng.random() < 0.5) for kind in kinds * 40]
    made += [(it["messages"], it["thinking"]) for it in data.suite()]
    requests = [json.dumps(dict(messages=m, thinking_mode="thinking" if t else "chat"), ensure_ascii=False) for m, t in made]
    theirs = [json.loads(line) for line in run_lines([tool / "ggl-encode"], requests)]
    ours = [chat.prompt(m, t) for m, t in made]
    wrong = [i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b]
    print(f"encoding: {len(ours) - len(wrong)} of {len(ours)} prompts are the same")
    if wrong:
        print(repr(ours[wrong[0]]), repr(theirs[wrong[0]]), sep="\n")
    tok, texts = tokenizer.Tokenizer(tokenizer_json), ours[::3]
    found = run_lines([tool / "ggl-tokenize", "--tokenizer", tokenizer_json], map(json.dumps, texts))
    bad = [t for t, ids in zip(texts, found) if tok.encode(t) != json.loads(ids) or tok.decode(tok.encode(t)) != t]
    print(f"tokens: {len(texts) - len(bad)} of {len(texts)} prompts are the same", *map(repr, bad[:1]))
    return not wrong and not bad


def check_gradients():
    model = random_model()
    model.train()
    ids, notes = torch.tensor([some_tokens(model, 512)] * 2), Notes()
    h = model.hidden(ids, notes)
    logits, drafts = model.logits(model.rows(h)), model.logits(model.draft_rows(h, ids, notes))
    loss = torch.nn.functional.cross_entropy(logits, ids.flatten().roll(-1)) + sum(notes.index_losses)
    loss = loss + torch.nn.functional.cross_entropy(drafts, ids[:, 1:].flatten().roll(-1))
    loss.backward()
    none = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    bad = [name for name, p in model.named_parameters() if p.grad is not None and not torch.isfinite(p.grad).all()]
    print(f"gradients: {len(list(model.parameters()))} parameters, {len(none)} without, {len(bad)} not finite", *none, *bad)
    return not none and not bad


def connection_pass(inputs, cfg):
    for t in inputs:
        t.grad = None
    h, fn, scale, base, w = inputs
    y, post, comb = hc.read(h, fn, scale, base, cfg)
    out = hc.write(torch.tanh(y), h, post, comb)
    ((out * w).sum() + (out ** 2).sum()).backward()
    return [out.detach()] + [t.grad.clone() for t in inputs]


def check_kernels():
    torch.manual_seed(2)
    cfg, n, d = config.DEMO, 37, config.DEMO["hidden_size"]
    inputs = [torch.randn(n, 4, d), torch.randn(24, 4 * d) * (4 * d) ** -0.5, torch.rand(3) + 0.5, torch.randn(24),
              torch.randn(n, 4, d)]
    inputs = [t.requires_grad_() for t in inputs]
    plain = connection_pass(inputs, cfg)
    print(fast.use(False, True))
    worst = max(((a - b).norm() / b.norm()).item() for a, b in zip(connection_pass(inputs, cfg), plain))
    fast.use(False, False)
    print(f"hyper-connections: largest relative difference of results and gradients {worst:.2g}")
    model = random_model()
    tokens = some_tokens(model)
    exact = logits_of(model, tokens)[0]
    fast.use(True, True)
    close = compare("products in BF16", logits_of(model, tokens)[0], exact, 0.01, 0.05, 0.9)
    fast.use(False, False)
    return worst < 1e-4 and close


def check_checkpoint():
    """What load.py reads is what export.py was given."""
    model = trainer.new_model(320, 3)
    model.round_all(model.masters())
    with tempfile.TemporaryDirectory() as directory:
        export.write_checkpoint(model, directory)
        read = load.load(directory)
    theirs, ours = dict(read.named_parameters()), dict(model.named_parameters())
    different = [name for name, p in ours.items() if not torch.equal(p, theirs[name])]
    tables = dict(read.named_buffers())
    different += [n for n, b in model.named_buffers() if n.endswith(("gate.bias", "tid2eid")) and not torch.equal(b, tables[n])]
    print(f"{len(ours)} parameters, {len(different)} differ {different[:3]}")
    return not different


def main():
    checks = dict(reference=check_reference, engine=check_engine, encoding=check_encoding, gradients=check_gradients,
                  kernels=check_kernels, checkpoint=check_checkpoint)
    torch.set_num_threads(1)
    if len(sys.argv) < 2 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    sys.exit(0 if checks[sys.argv[1]](*sys.argv[2:]) else 1)


if __name__ == "__main__":
    main()
