"""The texts of the modules that `to_torch` prints, where PyTorch has none of that kind."""

RESIDUAL = """
class Residual(nn.Module):
    def __init__(self, width, n_hidden, activation, begin, end):
        super().__init__()
        self.first, self.second = nn.Linear(width, n_hidden), nn.Linear(n_hidden, width, bias=False)
        self.activation, self.begin, self.end = activation, begin, end

    def forward(self, x):
        return self.end(x + self.second(self.activation(self.first(self.begin(x)))))
"""
SCALE = """
class Scale(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * self.gain
"""
PARAMETRIC = """
class Parametric(nn.Module):
    def __init__(self, width, activation):
        super().__init__()
        self.activation, self.share = activation, nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.share * self.activation(x) + (1 - self.share) * x
"""
EMBEDDED = """
class Embedded(nn.Module):
    def __init__(self, code, widths, dim, has_bias, activation, direct):
        super().__init__()
        self.code, self.widths, self.activation, self.direct = code, widths, activation, direct
        self.W = nn.Parameter(torch.zeros(sum(widths), dim)) if dim else None
        self.b = nn.Parameter(torch.zeros(len(widths) * dim)) if dim and has_bias else None

    def forward(self, x):
        y = self.code(x)
        if self.W is not None:
            columns = zip(y.split(self.widths, dim=1), self.W.split(self.widths))
            y = torch.cat([code @ W for code, W in columns], dim=1)
        if self.b is not None:
            y = y + self.b
        y = self.activation(y)
        return torch.cat([y, x], dim=1) if self.direct else y


class OneHot(nn.Module):
    def __init__(self, widths):
        super().__init__()
        self.widths = widths

    def forward(self, x):
        codes = [torch.ceil(c - 0.5) == torch.arange(n) for c, n in zip(x.split(1, dim=1), self.widths)]
        return torch.cat(codes, dim=1).to(x.dtype)


class PiecewiseLinear(nn.Module):
    def __init__(self, widths):
        super().__init__()
        for name in ("start", "rise", "low", "high"):
            self.register_buffer(name, torch.zeros(sum(widths)))
        self.widths = widths

    def forward(self, x):
        way = (torch.repeat_interleave(x, torch.tensor(self.widths), dim=1) - self.start) * self.rise
        return torch.minimum(torch.maximum(way, self.low), self.high)


class Periodic(nn.Module):
    def __init__(self, widths, n_frequencies):
        super().__init__()
        self.f = nn.Parameter(torch.zeros(len(widths) * n_frequencies))
        self.shift, self.widths = nn.Parameter(torch.zeros(sum(widths))), widths

    def forward(self, x):
        f = self.f.reshape(len(self.widths), -1).repeat(1, self.shift.numel() // self.f.numel()).flatten()
        return torch.cos(torch.repeat_interleave(x, torch.tensor(self.widths), dim=1) * f * (2 * torch.pi) + self.shift)
"""
EMBEDDING = """
class Embedding(nn.Module):
    def __init__(self, n_categories, dim):
        super().__init__()
        self.n_categories, self.W = n_categories, nn.Parameter(torch.zeros(sum(n_categories), dim))

    def forward(self, x):
        found = []
        for column, W in zip(x.T, self.W.split(self.n_categories)):
            code = torch.ceil(column - 0.5)
            known = (code >= 0) & (code < len(W))
            found.append(W[torch.where(known, code, 0).long()] * known[:, None])
        return torch.cat(found, dim=1)
"""
COLUMNS = """
class Columns(nn.Module):
    def __init__(self, columns, layer):
        super().__init__()
        self.columns, self.layer = columns, layer

    def forward(self, x):
        rest = [i for i in range(x.shape[1]) if i not in self.columns]
        return torch.cat([x[:, rest], self.layer(x[:, self.columns])], dim=1)
"""
SCALING = """
def smooth_clip(z):
    near = z.clamp(-1e9, 1e9)
    return near / torch.sqrt(1 + (near / 3) ** 2)


def to_normal(x, quantiles):  # the rank among the quantiles, as that of a normal distribution
    last = len(quantiles) - 1
    if quantiles[0] == quantiles[last]:
        return torch.zeros_like(x)
    i = torch.searchsorted(quantiles, x.contiguous()).clamp(max=last)
    j = (torch.searchsorted(quantiles, x.contiguous(), right=True) - 1).clamp(min=0)
    gap = quantiles[i] - quantiles[j]
    share = torch.where(gap > 0, (x - quantiles[j]) / gap, 0.5)
    p = torch.where(x >= quantiles[last], 1.0, torch.where(x <= quantiles[0], 0.0, (j + (i - j) * share) / last))
    return torch.special.ndtri(p.clamp(LEAST, 1 - LEAST))
"""
PREPARE = """
class Prepare(nn.Module):
    def __init__(self, n_inputs, n_quantiles):
        super().__init__()
        for name in ("mean", "scale", "clip"):
            self.register_buffer(name, torch.zeros(n_inputs, dtype=torch.float64))
        self.register_buffer("quantiles", torch.zeros(n_quantiles, n_inputs, dtype=torch.float64))

    def forward(self, x):
        x = x.double()  # differences of large numbers need it
        z = (x - self.mean) / self.scale
        if self.clip.any():
            z = torch.where(self.clip > 0, smooth_clip(z), z)
        for i in range(x.shape[1] if len(self.quantiles) else 0):
            if not self.quantiles[0, i].isnan():
                z[:, i] = to_normal(x[:, i], self.quantiles[:, i].contiguous())
        return z.to(torch.DTYPE)
"""
PUT_BACK = """
class PutBack(nn.Module):
    def __init__(self, n_outputs):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_outputs, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(n_outputs, dtype=torch.float64))

    def forward(self, y):
        return y.double() * self.scale + self.mean  # in the target's units
"""
ENCODE = '''
class Encode(nn.Module):
    """Columns by name -> inputs (N, I). A category is texts ("" or None where one is missing); any other column is
    numbers (NaN where one is missing): truth values 0 and 1, dates the seconds since 1970."""

    def __init__(self, columns):
        super().__init__()
        self.columns = columns

    def forward(self, table):
        return torch.cat([self.encode(c, table[c["name"]]) for c in self.columns], dim=1).to(torch.DTYPE)

    def encode(self, column, values):
        if column["kind"] == "category":
            n, place = len(column["values"]), {value: i for i, value in enumerate(column["values"])}
            rare, missing = n if column["rare"] else -1, n + column["rare"] if column["missing"] else -1
            words = ["" if value is None or value != value else str(value).strip() for value in values]
            numbers = [place.get(word, missing if word.lower() in MISSING else rare) for word in words]
            if column.get("coded"):
                codes = [number + 1 if number < n else 0 if number == rare else n + 1 for number in numbers]
                return torch.tensor(codes)[:, None].double()
            return (torch.tensor(numbers)[:, None] == torch.arange(n + column["rare"] + column["missing"])).double()
        x = torch.as_tensor(values, dtype=torch.float64)[:, None]
        absent = torch.isnan(x)
        filled = torch.where(absent, column["fill"], x)
        if "quantiles" in column:
            scaled = to_normal(filled, torch.tensor(column["quantiles"], dtype=torch.float64))
        else:
            scaled = (filled - column.get("mean", 0.0)) / column.get("std", 1.0)
        if column.get("clip"):
            scaled = smooth_clip(scaled)
        return torch.cat([scaled, absent.double()], dim=1) if column["indicator"] else scaled
'''
MEAN = """
class Mean(nn.Module):
    def __init__(self, answer, members):
        super().__init__()
        self.answer, self.members = answer, nn.ModuleList(members)

    def forward(self, x):
        answers = torch.stack([self.answer(member(x)).double() for member in self.members])
        return answers.mean(0).to(torch.DTYPE)
"""
MEMBERS = """
class Members(nn.Module):
    def __init__(self, members, width):
        super().__init__()
        self.r = nn.Parameter(torch.ones(members, width))

    def forward(self, x):
        return (x[:, None] * self.r).flatten(1)  # the members side by side
"""
SHARED_LINEAR = """
class SharedLinear(nn.Module):
    def __init__(self, members, width, n_outputs, biases):
        super().__init__()
        self.r, self.q = nn.Parameter(torch.ones(members, width)), nn.Parameter(torch.ones(members, n_outputs))
        self.W, self.b = nn.Parameter(torch.ones(width, n_outputs)), nn.Parameter(torch.zeros(biases, n_outputs))

    def forward(self, x):
        return ((x.unflatten(1, self.r.shape) * self.r) @ self.W * self.q + self.b).flatten(1)
"""
MEMBER_OUTPUTS = """
class MemberOutputs(nn.Module):
    def __init__(self, members, width, n_outputs, mean_of):
        super().__init__()
        self.W = nn.Parameter(torch.ones(members, width, n_outputs))
        self.b = nn.Parameter(torch.zeros(members, 1, n_outputs))
        self.mean_of = mean_of  # probabilities, as its logarithm or logit, exp of values, as its logarithm, or values

    def forward(self, x):
        z = x.unflatten(1, self.W.shape[:2]).transpose(0, 1) @ self.W + self.b
        if self.mean_of == "values":
            return z.mean(0)
        if self.mean_of == "exp":
            return (z - z.amax(0)).exp().mean(0).log() + z.amax(0)
        mean = lambda p: p.mean(0).clamp_min(torch.finfo(z.dtype).tiny).log()
        return mean(z.softmax(2)) if self.mean_of == "softmax" else mean(z.sigmoid()) - mean((-z).sigmoid())
"""
TEXTS = {
    "Mean": MEAN,
    "Members": MEMBERS,
    "SharedLinear": SHARED_LINEAR,
    "MemberOutputs": MEMBER_OUTPUTS,
    "Residual": RESIDUAL,
    "Prepare": PREPARE,
    "PutBack": PUT_BACK,
    "Encode": ENCODE,
    "Scale": SCALE,
    "Parametric": PARAMETRIC,
    "Embedded": EMBEDDED,
    "Embedding": EMBEDDING,
    "Columns": COLUMNS,
}
"""How a module is called -> its text."""
