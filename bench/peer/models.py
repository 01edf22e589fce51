"""The models of the comparison in plain PyTorch: the same parameters, under the same
names, and the same arithmetic as `ropewalk train` with the same configuration.

Written for speed on processors with what PyTorch brings: no loop over tokens, long
convolutions by FFT, kernels and scans by matrix products, the library's own attention
and LSTM. Shapes: x (B, L, D); inside a state-space block (B, D, L).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

VOCAB = 256
MIXERS = ("lssl", "s4d", "ssd", "attention", "lstm")
NORM_EPSILON = 1e-5


class RMSNorm(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, NORM_EPSILON)


# ---- State spaces -------------------------------------------------------------------


class LongConvolution(torch.autograd.Function):
    """Causal: u (B, D, L) with kernel (D, L), by FFT over the zero-padded sequence. The
    derivatives that torch has for its real transforms take complex ones of twice the size."""

    @staticmethod
    def forward(ctx, u: Tensor, kernel: Tensor) -> Tensor:
        length = u.shape[-1]
        seen, answer = torch.fft.rfft(u, 2 * length), torch.fft.rfft(kernel, 2 * length)
        ctx.save_for_backward(seen, answer)
        return torch.fft.irfft(seen * answer, 2 * length)[..., :length]

    @staticmethod
    def backward(ctx, dy: Tensor) -> tuple[Tensor, Tensor]:
        seen, answer = ctx.saved_tensors
        length = dy.shape[-1]
        asked = torch.fft.rfft(dy, 2 * length)
        du = torch.fft.irfft(asked * answer.conj(), 2 * length)
        dkernel = torch.fft.irfft((asked * seen.conj()).sum(0), 2 * length)
        return du[..., :length], dkernel[..., :length]


def two_steps(length: int) -> tuple[int, int]:
    """t = a small + b: (number of a, small), about the root of the length each."""
    small = 1 << ((max(length, 2) - 1).bit_length() + 1) // 2
    return -(-length // small), small


class StateSpace(nn.Module):
    """[u | z] = in(x), y = out(gelu(u * kernel + skip u) silu(z)); a family adds `kernel`."""

    def __init__(self, width: int, state: int):
        super().__init__()
        self.in_ = nn.Linear(width, 2 * width, bias=False)
        self.log_dt = nn.Parameter(torch.empty(width).uniform_(math.log(1e-3), math.log(1e-1)))
        self.C = nn.Parameter(torch.randn(width, state))
        self.skip = nn.Parameter(torch.randn(width))
        self.out = nn.Linear(width, width)

    def kernel(self, length: int) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.kernel(x.shape[1])
        # The skip connection is one more term at lag 0.
        kernel = torch.cat([kernel[:, :1] + self.skip[:, None], kernel[:, 1:]], 1)
        u, z = torch.matmul(self.in_.weight, x.transpose(1, 2)).chunk(2, 1)
        y = F.gelu(LongConvolution.apply(u, kernel), approximate="tanh") * F.silu(z)
        return F.linear(y.transpose(1, 2), self.out.weight, self.out.bias)


class S4D(StateSpace):
    """Diagonal: kernel_t = 2 Re sum_m C_m Bbar_m e^(t dt A_m), A = -e^log_real + i imag."""

    def __init__(self, width: int, state: int):
        super().__init__(width, state)
        modes = state // 2
        self.log_real = nn.Parameter(torch.full((width, modes), math.log(0.5)))
        self.imag = nn.Parameter(math.pi * torch.arange(modes).float().repeat(width, 1))

    def kernel(self, length: int) -> Tensor:
        """e^((a small + b) dt A) is a product: two small tables and a matrix product. In real
        numbers, whose elementary functions are the faster ones."""
        large, small = two_steps(length)
        re, im = -torch.exp(self.log_real), self.imag
        dt = torch.exp(self.log_dt)[:, None]
        weight_re, weight_im = self.weight(re, im, dt)
        times = torch.arange(max(large, small), dtype=re.dtype)
        size, cos, sin = self.powers(re * dt, im * dt, small * times[:large, None])
        left_re = size * (weight_re[:, None] * cos - weight_im[:, None] * sin)
        left_im = size * (weight_re[:, None] * sin + weight_im[:, None] * cos)
        size, cos, sin = self.powers(re * dt, im * dt, times[:small, None])
        left = torch.cat([left_re, -left_im], 2)
        right = torch.cat([size * cos, size * sin], 2)
        return torch.bmm(left, right.transpose(1, 2)).flatten(1)[:, :length]

    def weight(self, re: Tensor, im: Tensor, dt: Tensor) -> tuple[Tensor, Tensor]:
        """2 C (e^(dt A) - 1) / A, real and imaginary part."""
        A = torch.complex(re, im)
        C = torch.view_as_complex(self.C.view(*A.shape, 2))
        weight = torch.view_as_real(2 * C * (torch.exp(A * dt) - 1) / A)
        return weight[..., 0], weight[..., 1]

    @staticmethod
    def powers(re: Tensor, im: Tensor, times: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of e^(t (re + i im)), (D, times, modes): absolute value, cosine, sine."""
        angle = im[:, None] * times
        return torch.exp(re[:, None] * times), torch.cos(angle), torch.sin(angle)


class LSSL(StateSpace):
    """HiPPO-LegS, bilinear: kernel_t = C Abar^t Bbar, with A fixed and dt learned."""

    def __init__(self, width: int, state: int):
        super().__init__(width, state)
        root = torch.sqrt(2 * torch.arange(state).double() + 1)
        A = -torch.tril(root[:, None] * root, -1) - torch.diag(torch.arange(state).double() + 1)
        self.register_buffer("A", A.float(), persistent=False)
        self.register_buffer("B", root.float(), persistent=False)

    def powers(self, count: int) -> tuple[list[Tensor], Tensor]:
        """Abar^(2^k) - I for k < count, (D, N, N) each, and Bbar (D, N, 1). Less the
        identity, which would swallow what a slow mode loses in a step."""
        dt = torch.exp(self.log_dt)[:, None, None]
        left = torch.eye(len(self.A), dtype=dt.dtype) - dt / 2 * self.A
        right = dt * torch.cat([self.A, self.B[:, None]], 1)
        both = torch.linalg.solve_triangular(left, right, upper=False)
        powers = [both[:, :, :-1].contiguous()]
        while len(powers) < count:
            powers.append(torch.baddbmm(powers[-1], powers[-1], powers[-1], beta=2))
        return powers, both[:, :, -1:]

    def kernel(self, length: int) -> Tensor:
        """(C Abar^(a small)) (Abar^b Bbar), both sides by doubling. The powers are rational
        functions of A and commute, so that with P = Abar - I
            d kernel_t / d log dt = t C Abar^(t-1) (P + P^2/2) Bbar + C Abar^t (1 + P/2) Bbar
        costs two matrix products, and no gradient goes through the powers."""
        large, small = two_steps(length)
        few = small.bit_length() - 1
        with torch.no_grad():
            powers, right = self.powers(few + (large - 1).bit_length())
            for power in powers[:few]:
                right = torch.cat([right, torch.baddbmm(right, power, right)], 2)
            moved = torch.bmm(powers[0], right)
            by_A = torch.baddbmm(moved, powers[0], moved, alpha=0.5)
            by_B = right + moved / 2
        left = self.C[:, None]
        for power in powers[few:]:
            left = torch.cat([left, torch.baddbmm(left, left, power)], 1)
        left = left[:, :large]
        with torch.no_grad():
            slope = torch.bmm(left, by_A).flatten(1)[:, : length - 1]
            slope = F.pad(slope * torch.arange(1, length, dtype=slope.dtype), (1, 0))
            slope += torch.bmm(left, by_B).flatten(1)[:, :length]
        kernel = torch.bmm(left, right).flatten(1)[:, :length]
        return kernel + (self.log_dt - self.log_dt.detach())[:, None] * slope


# ---- Mamba-2 ------------------------------------------------------------------------


def decays(log_decay: Tensor, strict: bool) -> Tensor:
    """e^(sum of log_decay from s + 1 to t) for s <= t, else 0: (..., T) to (..., T, T).
    Strict: from s + 1 to t - 1, for s < t: what is left of step s just before step t."""
    total = log_decay.cumsum(-1)
    until = total - log_decay if strict else total
    size = log_decay.shape[-1]
    below = torch.ones(size, size, dtype=torch.bool).tril(-1 if strict else 0)
    return torch.exp((until[..., :, None] - total[..., None, :]).masked_fill(~below, -math.inf))


GROUP = 32  # chunks whose states are combined by one matrix product


def states_before(log_decay: Tensor, added: Tensor) -> Tensor:
    """The state before each chunk: log_decay (B, H, C), added and result (B, H, C, S).
    Groups of chunks first, then these like chunks: no more than GROUP products a chunk."""
    chunks = log_decay.shape[-1]
    if chunks <= GROUP:
        return torch.matmul(decays(log_decay, True), added)
    padded = -(-chunks // GROUP) * GROUP
    decay = F.pad(log_decay, (0, padded - chunks)).unflatten(2, (-1, GROUP))
    groups = F.pad(added, (0, 0, 0, padded - chunks)).unflatten(2, (-1, GROUP))
    total = decay.cumsum(-1)
    inside = torch.matmul(decays(decay, True), groups)
    to_end = torch.exp(total[..., -1:] - total)
    sums = torch.matmul(to_end[..., None, :], groups).squeeze(3)
    before = states_before(total[..., -1], sums)
    carried = torch.exp(total - decay)[..., None] * before[:, :, :, None]
    return (inside + carried).flatten(2, 3)[:, :, :chunks]


def ssd(x: Tensor, B: Tensor, C: Tensor, dt: Tensor, A: Tensor, chunk: int) -> Tensor:
    """The state-space dual by chunks (Dao and Gu 2024, listing 1), with one group of B and C:
    x (b, l, H, P), B and C (b, l, N), dt (b, l, H), A (H); l a multiple of the chunk."""
    b, length, heads, width = x.shape
    cut = (b, length // chunk, chunk)
    B, C = B.reshape(*cut, -1), C.reshape(*cut, -1)
    x = (x * dt[..., None]).view(*cut, heads, width)
    log_decay = (dt * A).view(*cut, heads).permute(0, 3, 1, 2)
    total = log_decay.cumsum(-1)
    scores = torch.matmul(C, B.transpose(2, 3))[:, :, None]
    scores = scores * decays(log_decay, False).transpose(1, 2)
    y = torch.matmul(scores, x.transpose(2, 3)).transpose(2, 3)
    to_end = torch.exp(total[..., -1:] - total).permute(0, 2, 3, 1)
    added = torch.matmul(B.transpose(2, 3), (x * to_end[..., None]).flatten(3))
    by_head = added.unflatten(3, (heads, width)).permute(0, 3, 1, 2, 4)
    before = states_before(total[..., -1], by_head.flatten(3))
    before = before.unflatten(3, (-1, width)).permute(0, 2, 3, 1, 4).flatten(3)
    carried = torch.matmul(C, before).unflatten(3, (heads, width))
    y = y + carried * torch.exp(total).permute(0, 2, 3, 1)[..., None]
    return y.reshape(b, length, heads, width)


class ShortConvolution(nn.Module):
    """Causal and depthwise, over a few tokens."""

    def __init__(self, width: int, taps: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, taps) / math.sqrt(taps))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x.transpose(1, 2), (self.weight.shape[1] - 1, 0))
        y = F.conv1d(padded, self.weight[:, None], self.bias, groups=len(self.weight))
        return y.transpose(1, 2).contiguous()


class SSD(nn.Module):
    CHUNK = 64

    def __init__(self, width: int, state: int, heads: int, expand: int = 2, taps: int = 4):
        super().__init__()
        inner = expand * width
        self.heads, self.state, self.inner = heads, state, inner
        self.in_ = nn.Linear(width, 2 * inner + 2 * state + heads, bias=False)
        self.conv = ShortConvolution(inner + 2 * state, taps)
        self.dt_bias = nn.Parameter(torch.log(torch.expm1(torch.logspace(-3, -1, heads))))
        self.A_log = nn.Parameter(torch.log(torch.linspace(1, 16, heads)))
        self.D = nn.Parameter(torch.ones(heads))
        self.norm = RMSNorm(inner)
        self.out = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        length, rest = x.shape[1], -x.shape[1] % self.CHUNK
        z, xbc, dt = self.in_(x).split([self.inner, self.inner + 2 * self.state, self.heads], 2)
        xbc = F.silu(self.conv(xbc))
        dt = F.softplus(dt + self.dt_bias)
        u, B, C = xbc.split([self.inner, self.state, self.state], 2)
        u = u.unflatten(2, (self.heads, -1))
        skipped = u * self.D[:, None]
        if rest:  # a row with dt = 0 changes nothing
            u = F.pad(u, (0, 0, 0, 0, 0, rest))
            B, C, dt = (F.pad(v, (0, 0, 0, rest)) for v in (B, C, dt))
        y = ssd(u, B, C, dt, -torch.exp(self.A_log), self.CHUNK)[:, :length]
        return self.out(self.norm((y + skipped).flatten(2) * F.silu(z)))


# ---- Attention and LSTM -------------------------------------------------------------


def rotary(x: Tensor, base: float = 10000.0) -> Tensor:
    """Turns columns i and i + d/2 of a head: x (..., L, d)."""
    length, half = x.shape[-2], x.shape[-1] // 2
    frequency = base ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * frequency
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.in_ = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.in_(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(rotary(q), rotary(k), v, is_causal=True)
        return self.out(y.transpose(1, 2).flatten(2))


class LSTM(nn.Module):
    """nn.LSTM has two biases, one too many: the second is zero and not trained."""

    def __init__(self, width: int):
        super().__init__()
        self.cell = nn.LSTM(width, width, batch_first=True)
        self.out = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.cell.bias_hh_l0).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.cell(x)[0])


# ---- Models -------------------------------------------------------------------------


def mixer_of(name: str, width: int, state: int, heads: int) -> nn.Module:
    if name == "lssl":
        return LSSL(width, state)
    if name == "s4d":
        return S4D(width, state)
    if name == "ssd":
        return SSD(width, state, heads)
    return Attention(width, heads) if name == "attention" else LSTM(width)


class Block(nn.Module):
    def __init__(self, width: int, mixer: nn.Module):
        super().__init__()
        self.pre_norm = RMSNorm(width)
        self.mixer = mixer

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mixer(self.pre_norm(x))


class Model(nn.Module):
    """Bytes in, the loss out: tokens and targets (B, L); embeddings are tied."""

    def __init__(self, mixer: str, layers: int, width: int, state: int = 64, heads: int = 8):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, width)
        nn.init.normal_(self.embedding.weight, std=0.02)
        blocks = [Block(width, mixer_of(mixer, width, state, heads)) for _ in range(layers)]
        self.blocks = nn.ModuleList(blocks)
        self.final_norm = RMSNorm(width)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.final_norm(x), self.embedding.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


RENAMED = {
    "mixer.": "",
    "in_.": "in.",
    "cell.weight_ih_l0": "in.weight",
    "cell.bias_ih_l0": "in.bias",
    "cell.weight_hh_l0": "recurrent.weight",
}


def parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """What is trained, by the names of ropewalk's checkpoints."""
    named = {}
    for name, parameter in model.named_parameters():
        for ours, theirs in RENAMED.items():
            name = name.replace(ours, theirs)
        if parameter.requires_grad:
            named[name] = parameter
    return named


STATE_PARAMETERS = ("log_dt", "C", "skip", "log_real", "imag", "dt_bias", "A_log", "D")


def optimizer_of(model: nn.Module, lr: float = 1e-3) -> torch.optim.Optimizer:
    """AdamW with ropewalk's defaults: weight decay on matrices, state-space parameters at a
    smaller learning rate. Fused: one pass over each parameter."""
    groups: dict[str, list[nn.Parameter]] = {"matrix": [], "vector": [], "state": []}
    for name, parameter in parameters(model).items():
        if name.rsplit(".", 1)[-1] in STATE_PARAMETERS:
            groups["state"].append(parameter)
        else:
            groups["matrix" if parameter.dim() > 1 else "vector"].append(parameter)
    settings = {
        "matrix": {"lr": lr, "weight_decay": 0.1},
        "vector": {"lr": lr, "weight_decay": 0.0},
        "state": {"lr": 0.3 * lr, "weight_decay": 0.0},
    }
    listed = [{"params": groups[name], **settings[name]} for name in groups if groups[name]]
    return torch.optim.AdamW(listed, betas=(0.9, 0.95), eps=1e-8, fused=True)
