"""Recurrent layers as torch modules, with torch's calling conventions and one bias for each gate.

``output, state = layer(input, state)``, as torch.nn.LSTM has it: input (time, batch, input_size), or (batch, time,
input_size) with ``batch_first``, or (time, input_size), or a PackedSequence. Weights are Glorot's uniform ones, biases
zero but for those of forgetting gates, which are 1 (Costa et al. 2017, section 4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from neurocircuits.declare.checks import is_number, is_whole
from neurocircuits.errors import ValidationError
from neurocircuits.recurrent import compiled, kernel

State = Any  # a tensor (layers, batch, H), or a pair of such


class RecurrentLayers(torch.nn.Module):
    """Layers of recurrent units; a subclass names its gates and runs one layer.

    Parameters
    ----------
    input_size : int
        Inputs D.
    hidden_size : int
        Units H of each layer.
    num_layers : int
        Layers, each fed by the one below.
    batch_first : bool
        Whether batches come before time steps in inputs and outputs.
    dropout : float
        Share of the outputs of each layer but the last that are dropped while training.
    device, dtype : optional
        Of the parameters.

    Raises
    ------
    ValidationError
        If a size is not a positive whole number or a share is not in [0, 1).
    """

    gates: ClassVar[tuple[str, ...]]
    has_memory: ClassVar[bool] = False
    of_torch: ClassVar[str]  # name of torch's kernel

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        batch_first: bool = False,
        dropout: float = 0.0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
        for name, value in sizes.items():
            if not is_whole(value) or value < 1:
                raise ValidationError(f"{type(self).__name__}: {name} {value!r} is not a positive whole number.")
        input_size, hidden_size, num_layers = int(input_size), int(hidden_size), int(num_layers)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.batch_first, self.dropout = batch_first, self._share("dropout", dropout)
        made = {"device": device, "dtype": dtype}
        for k in range(num_layers):
            for name, shape in self._shapes(input_size if k == 0 else hidden_size).items():
                self.register_parameter(f"{name}_l{k}", torch.nn.Parameter(torch.empty(shape, **made)))
        self.reset_parameters()

    def _share(self, name: str, value: float) -> float:
        if not is_number(value) or not 0 <= value < 1:
            raise ValidationError(f"{type(self).__name__}: {name} {value!r} is not a share. Give 0 <= {name} < 1.")
        return float(value)

    def _shapes(self, n_inputs: int) -> dict[str, tuple[int, ...]]:
        n = len(self.gates) * self.hidden_size
        return {"weight_ih": (n, n_inputs), "weight_hh": (n, self.hidden_size), "bias": (n,)}

    def reset_parameters(self) -> None:
        """Draw the parameters anew, from torch's generator: Glorot's uniform weights gate by gate."""
        n = self.hidden_size
        for k in range(self.num_layers):
            values = self.layer_parameters(k)
            for name in ("weight_ih", "weight_hh"):
                for block in values[name].detach().split(n):
                    torch.nn.init.xavier_uniform_(block)
            with torch.no_grad():
                values["bias"].zero_()
                if "f" in self.gates:
                    values["bias"].view(-1, n)[self.gates.index("f")] = 1.0

    def layer_parameters(self, layer: int) -> dict[str, Tensor]:
        """Return the parameters of a layer by name, without the number of the layer."""
        return {name: getattr(self, f"{name}_l{layer}") for name in self._shapes(1)}

    def extra_repr(self) -> str:
        """Return sizes, as torch's modules print them."""
        return f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, batch_first={self.batch_first}"

    # -- running -------------------------------------------------------------------------------------------------------

    def forward(self, input: Any, hx: State | None = None) -> tuple[Any, State]:
        """Run all layers over sequences.

        Parameters
        ----------
        input : Tensor or PackedSequence
            (time, batch, D), (batch, time, D) with ``batch_first``, (time, D), or packed.
        hx : Tensor or pair of Tensor, optional
            The state before the first step, (layers, batch, H) or, without batches, (layers, H): h, and with a memory
            (h, c); zero unless given.

        Returns
        -------
        output : Tensor or PackedSequence
            h of the last layer at all steps, like ``input``.
        state : Tensor or pair of Tensor
            The state after the last step of each sequence, like ``hx``.

        Raises
        ------
        ValidationError
            If shapes do not fit, or there is no time step.
        """
        packed = isinstance(input, PackedSequence)
        if packed and input.data.shape[-1] != self.input_size:
            raise ValidationError(
                f"{type(self).__name__}: the packed input has {input.data.shape[-1]} values in each time step. Give "
                f"{self.input_size}."
            )
        rows = input.data if packed else self._rows(input)
        if packed:
            batch_sizes = input.batch_sizes.tolist()
            n_batch, flat = batch_sizes[0], False
        else:
            flat = input.dim() == 2
            n_batch = 1 if flat else input.shape[0 if self.batch_first else 1]
            batch_sizes = [n_batch] * (len(rows) // n_batch)
        state = self._state(hx, n_batch, flat, rows)
        if packed and input.sorted_indices is not None:
            state = tuple(each[:, input.sorted_indices] for each in state)
        ends = []
        for k in range(self.num_layers):
            rows, end = self._layer(rows, tuple(each[k] for each in state), self.layer_parameters(k), batch_sizes)
            ends.append(end)
            if k < self.num_layers - 1:
                rows = torch.nn.functional.dropout(rows, self.dropout, self.training)
        last = tuple(torch.stack([end[j] for end in ends]) for j in range(len(state)))
        if packed and input.unsorted_indices is not None:
            last = tuple(each[:, input.unsorted_indices] for each in last)
        output: Any
        if packed:
            output = PackedSequence(rows, input.batch_sizes, input.sorted_indices, input.unsorted_indices)
        elif flat:
            output, last = rows, tuple(each[:, 0] for each in last)
        else:
            output = rows.view(-1, n_batch, self.hidden_size)
            output = output.transpose(0, 1) if self.batch_first else output
        return output, last if self.has_memory else last[0]

    def _rows(self, input: Tensor) -> Tensor:
        """Return an unpacked input with the rows of all time steps below one another."""
        who, layout = type(self).__name__, "batch, time" if self.batch_first else "time, batch"
        if input.dim() not in (2, 3) or input.shape[-1] != self.input_size:
            raise ValidationError(
                f"{who}: the input has shape {tuple(input.shape)}. Allowed are ({layout}, {self.input_size}) and "
                f"(time, {self.input_size})."
            )
        if 0 in input.shape:
            raise ValidationError(
                f"{who}: the input has shape {tuple(input.shape)}; give at least one time step and one sequence."
            )
        if input.dim() == 3 and self.batch_first:
            input = input.transpose(0, 1)
        return input.reshape(-1, self.input_size)

    def _state(self, hx: State | None, n_batch: int, flat: bool, rows: Tensor) -> tuple[Tensor, ...]:
        """Return the state before the first step, each part (layers, batch, H)."""
        shape = (self.num_layers, n_batch, self.hidden_size)
        n_parts = 2 if self.has_memory else 1
        if hx is None:
            return tuple(rows.new_zeros(shape) for _ in range(n_parts))
        parts = tuple(hx) if self.has_memory else (hx,)
        given = (self.num_layers, self.hidden_size) if flat else shape
        shapes = [tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__ for part in parts]
        if shapes != [given] * n_parts:
            what = "a pair (h, c), each a tensor" if self.has_memory else "h, a tensor"
            raise ValidationError(
                f"{type(self).__name__}: the state has shapes {shapes}. Allowed is {what} of shape {given}."
            )
        return tuple(part.view(shape) for part in parts)

    def _layer(
        self, x: Tensor, state: tuple[Tensor, ...], parameters: dict[str, Tensor], batch_sizes: Sequence[int]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return outputs (rows, H) and the last state (batch, H) of a layer."""
        return self._run_by_torch(x, state, parameters, batch_sizes)

    def _run_by_torch(
        self, x: Tensor, state: tuple[Tensor, ...], parameters: dict[str, Tensor], batch_sizes: Sequence[int]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run a layer by torch's own kernel of this name; its second bias of each gate is 0."""
        bias = parameters["bias"]
        weights = [parameters["weight_ih"], parameters["weight_hh"], bias, torch.zeros_like(bias)]
        sizes, first = torch.as_tensor(batch_sizes), [each.unsqueeze(0) for each in state]
        run = getattr(torch._VF, self.of_torch)
        given, learns = first if self.has_memory else first[0], torch.is_grad_enabled()
        output, *last = run(x, sizes, given, weights, True, 1, 0.0, learns, False)  # cuDNN keeps what gradients need
        return output, tuple(each[0] for each in last)


class RNN(RecurrentLayers):
    """Plain recurrent layers, h = tanh(W x + R h' + b); see `RecurrentLayers` for the parameters."""

    gates, of_torch = ("h",), "rnn_tanh"


class GRU(RecurrentLayers):
    """Gated recurrent units as torch has them (Cho et al. 2014); see `RecurrentLayers` for the parameters.

    r, u = sigma(W x + R h' + b), n = tanh(W x + r (R h') + b), h = (1 - u) n + u h'. Chung et al. (2014) write 1 - u
    for u and R (r h') for r (R h'). Gates are in the order r, u, n.
    """

    gates, of_torch = ("r", "u", "n"), "gru"


class _WithMemory(RecurrentLayers):
    """Layers with a memory c, run by the loop of `kernel`."""

    gates = kernel.GATES[True]
    has_memory = True
    subtracts: ClassVar[bool]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        batch_first: bool = False,
        dropout: float = 0.0,
        update_dropout: float = 0.0,
        horizon: float | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if horizon is not None and not (is_number(horizon) and 2 < horizon < math.inf):
            raise ValidationError(
                f"{type(self).__name__}: horizon {horizon!r} is not a number of time steps above 2. Give the length of "
                "the sequences, or None."
            )
        self.horizon = horizon
        super().__init__(input_size, hidden_size, num_layers, batch_first, dropout, device, dtype)
        self.update_dropout = self._share("update_dropout", update_dropout)

    def reset_parameters(self) -> None:
        """Draw the parameters anew, from torch's generator; see ``horizon``."""
        super().reset_parameters()
        if self.horizon is None:
            return
        with torch.no_grad():
            for k in range(self.num_layers):
                values = self.layer_parameters(k)
                of = dict(zip(self.gates, values["bias"].view(-1, self.hidden_size), strict=True))
                kept = of["f"] if "f" in of else values["leak"]  # f = 1 - 1/tau is sigma(log(tau - 1))
                kept.uniform_(1, self.horizon - 1).log_()
                for name in ("i", "z") if self.subtracts else ("i",):
                    of[name].copy_(-kept)

    def _layer(
        self, x: Tensor, state: tuple[Tensor, ...], parameters: dict[str, Tensor], batch_sizes: Sequence[int]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        mask = None
        if self.training and self.update_dropout:
            mask = torch.nn.functional.dropout(x.new_ones(len(x), self.hidden_size), self.update_dropout)
        weights = (parameters["weight_ih"], parameters["weight_hh"], parameters["bias"])
        leak = torch.sigmoid(parameters["leak"]) if "leak" in parameters else None
        first = (state[0], state[1])
        return kernel.run(x, first, weights, batch_sizes, subtracts=self.subtracts, leak=leak, mask=mask)


class LSTM(_WithMemory):
    """Long short-term memory with a forgetting gate; see `RecurrentLayers` for the other parameters.

    i, f, o = sigma(W x + R h' + b), z = tanh(W x + R h' + b), c = f c' + i z, h = o tanh(c) (Costa et al. 2017,
    section 3). Gates are in the order i, f, z, o, which is torch's. Torch's own kernel runs it on a GPU, and
    wherever else there is no compiled loop, if there is no dropout of updates. Only torch's
    kernel has second derivatives.

    Parameters
    ----------
    update_dropout : float
        Share of the updates, z i, that are dropped while training, so that a memory stays as it is there (Semeniuta,
        Severyn and Barth 2016, arXiv:1603.05118); the source of subLSTMs has such dropout and does not define it.
    horizon : float, optional
        Steps T over which memories are to reach: what they keep of a step begins at sigma(b) with b = log U(1, T - 1),
        so that their time constants are uniform up to T, and what they take in at sigma(-b) (Tallec and Ollivier 2018,
        arXiv:1804.11188). Without it forgetting biases are 1, and of a memory nothing is left after twenty steps.
    """

    subtracts, of_torch = False, "lstm"

    def _layer(
        self, x: Tensor, state: tuple[Tensor, ...], parameters: dict[str, Tensor], batch_sizes: Sequence[int]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        own = compiled.runs(x) or (self.training and self.update_dropout)
        return (super()._layer if own else self._run_by_torch)(x, state, parameters, batch_sizes)


class SubLSTM(_WithMemory):
    """LSTM whose gates subtract, as balanced inhibition does; see `RecurrentLayers` for the other parameters.

    i, f, z, o = sigma(W x + R h' + b), c = f c' + z - i, h = sigma(c) - o (Costa et al. 2017, section 3). Gates are in
    the order i, f, z, o.

    Parameters
    ----------
    update_dropout : float
        Share of the updates, z - i, that are dropped while training, so that a memory stays as it is there (Semeniuta,
        Severyn and Barth 2016, arXiv:1603.05118); the source of subLSTMs has such dropout and does not define it.
    horizon : float, optional
        Steps T over which memories are to reach: what they keep of a step begins at sigma(b) with b = log U(1, T - 1),
        so that their time constants are uniform up to T, and what they take in at sigma(-b) (Tallec and Ollivier 2018,
        arXiv:1804.11188), here both parts of what they take in, z and i. Without it forgetting biases are 1, and of
        a memory nothing is left after twenty steps.
    """

    subtracts = True


class FixSubLSTM(SubLSTM):
    """`SubLSTM` whose memory leaks by a learned constant of each unit instead of a forgetting gate.

    Gates are in the order i, z, o; the share that a step keeps is f = sigma(leak), which no input changes. It begins
    uniform in [0.9, 0.99], a default of this package, or as ``horizon`` says.
    """

    gates = kernel.GATES[False]

    def _shapes(self, n_inputs: int) -> dict[str, tuple[int, ...]]:
        return super()._shapes(n_inputs) | {"leak": (self.hidden_size,)}

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        super().reset_parameters()
        if self.horizon is None:
            with torch.no_grad():
                for k in range(self.num_layers):
                    getattr(self, f"leak_l{k}").uniform_(0.9, 0.99).logit_()

    @property
    def leaks(self) -> Tensor:
        """Shares of the memory that a step keeps, (layers, H)."""
        return torch.sigmoid(torch.stack([getattr(self, f"leak_l{k}") for k in range(self.num_layers)]))


def n_parameters(module: torch.nn.Module) -> int:
    """Return how many numbers a module learns."""
    return sum(math.prod(parameter.shape) for parameter in module.parameters() if parameter.requires_grad)
