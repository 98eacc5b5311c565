"""What makes training fast on a CPU: matrix products in BF16 where the processor has instructions for it, and
hyper-connections in C.  Both are off until use() is called, and a GPU needs neither; check.py compares them with
the plain way.
"""
import ctypes
import os
import pathlib
import subprocess
import tempfile

import torch

os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8192")   # a product of a new size costs a millisecond

_library = None
_products = torch.float32


def use(bf16_products, c_kernels):
    """Returns what is in use, for the log."""
    global _library, _products
    _products = torch.bfloat16 if bf16_products else torch.float32
    _library = _compiled() if c_kernels else None
    return f"products in {str(_products).split('.')[1]}, hyper-connections in {'C' if _library else 'PyTorch'}"


def product_type():
    return _products


def has_bf16_units():
    """Without them BF16 products are slower than float32 ones."""
    try:
        flags = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


def _compiled():
    """hyper_connection.c as a library, or None where there is no compiler."""
    source = pathlib.Path(__file__).with_name("hyper_connection.c")
    target = pathlib.Path(tempfile.mkdtemp(prefix="train-demo-")) / "hyper_connection.so"
    command = [os.environ.get("CC", "cc"), "-O3", "-march=native", "-ffast-math", "-std=c11", "-shared", "-fPIC",
               str(source), "-o", str(target), "-lm"]
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    library = ctypes.CDLL(str(target))
    target.unlink()
    target.parent.rmdir()
    return library


# ---- matrix products

class _Linear(torch.autograd.Function):
    """x w' with operands rounded to BF16, forward and backward."""

    @staticmethod
    def forward(ctx, x, w):
        x, w = x.to(torch.bfloat16), w.to(torch.bfloat16)
        ctx.save_for_backward(x, w)
        return torch.mm(x, w.t()).float()

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        g = g.to(torch.bfloat16)
        return torch.mm(g, w).float(), torch.mm(g.t(), x).float()


def linear(x, w):
    if _products == torch.float32:
        return torch.nn.functional.linear(x, w)
    return _Linear.apply(x.reshape(-1, x.shape[-1]), w).view(*x.shape[:-1], w.shape[0])


class _Bmm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        a, b = a.to(torch.bfloat16), b.to(torch.bfloat16)
        ctx.save_for_backward(a, b)
        return torch.bmm(a, b).float()

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        g = g.to(torch.bfloat16)
        return torch.bmm(g, b.transpose(1, 2)).float(), torch.bmm(a.transpose(1, 2), g).float()


def bmm(a, b):
    return torch.bmm(a, b) if _products == torch.float32 else _Bmm.apply(a, b)


# ---- hyper-connections

def has_kernels(h):
    return _library is not None and h.device.type == "cpu"


def _call(name, *args):
    plain = [ctypes.c_void_p(a.data_ptr()) if torch.is_tensor(a) else
             ctypes.c_float(a) if isinstance(a, float) else
             ctypes.c_int(a[0]) if isinstance(a, tuple) else ctypes.c_long(a) for a in args]
    getattr(_library, name)(*plain)


class Read(torch.autograd.Function):
    """h, fn, scale, base -> y, post, comb: hyper_connection.read."""

    @staticmethod
    def forward(ctx, h, fn, scale, base, iterations, norm_eps, eps):
        n, streams, d = h.shape
        r, y = h.new_empty(n), h.new_empty(n, d)
        pre, post, comb = h.new_empty(n, streams), h.new_empty(n, streams), h.new_empty(n, streams, streams)
        _call("hc_size", n, d, norm_eps, h, r)
        mixes = torch.mm(h.view(n, -1), fn.t()).mul_(r[:, None])
        _call("hc_split_forward", n, mixes, scale, base, (iterations,), eps, pre, post, comb)
        _call("hc_gather_forward", n, d, h, pre, y)
        ctx.save_for_backward(h, fn, scale, base, r, mixes, pre)
        ctx.iterations, ctx.eps = iterations, eps
        return y, post, comb

    @staticmethod
    def backward(ctx, g_y, g_post, g_comb):
        h, fn, scale, base, r, mixes, pre = ctx.saved_tensors
        n, _, d = h.shape
        g_y, g_post, g_comb = g_y.contiguous(), g_post.contiguous(), g_comb.contiguous()
        g_pre, g_mixes, g_h = torch.empty_like(pre), torch.empty_like(mixes), torch.empty_like(h)
        g_scale, g_base = torch.zeros_like(scale), torch.zeros_like(base)
        _call("hc_gather_backward", n, d, h, g_y, g_pre)
        _call("hc_split_backward", n, mixes, scale, base, (ctx.iterations,), ctx.eps, g_pre, g_post, g_comb, g_mixes,
              g_scale, g_base)
        along = (g_mixes * mixes).sum(1).mul_(r * r).mul_(-1 / h[0].numel())
        _call("hc_gather_backward_h", n, d, h, pre, along, g_y, g_h)
        g_mixes.mul_(r[:, None])
        g_h.view(n, -1).addmm_(g_mixes, fn)
        return g_h, torch.mm(g_mixes.t(), h.view(n, -1)), g_scale, g_base, None, None, None


class Write(torch.autograd.Function):
    """y, h, post, comb -> the new streams: hyper_connection.scatter."""

    @staticmethod
    def forward(ctx, y, h, post, comb):
        y, out = y.contiguous(), torch.empty_like(h)
        _call("hc_scatter_forward", len(h), h.shape[2], y, h, post, comb, out)
        ctx.save_for_backward(y, h, post, comb)
        return out

    @staticmethod
    def backward(ctx, g):
        y, h, post, comb = ctx.saved_tensors
        g = g.contiguous()
        grads = [torch.empty_like(t) for t in (y, h, post, comb)]
        _call("hc_scatter_backward", len(h), h.shape[2], y, h, post, comb, g, *grads)
        return tuple(grads)
