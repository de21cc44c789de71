"""The training loop. No branch on a method's name: what an objective declares, it gets."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from imaetool import objectives
from imaetool.config import Config, Smoothness
from imaetool.errors import UserError
from imaetool.information.vat import affine_penalty, vat_penalty
from imaetool.model import Autoencoder, Outputs
from imaetool.training.batches import Batches, seed_of
from imaetool.training.memory import Memory
from imaetool.training.schedules import at_step, check_schedules

__all__ = ["Progress", "Trainer", "smoothness_penalty"]


@dataclass
class Progress:
    """Where a run stands: finished steps, this epoch's sums, and the history of finished epochs."""

    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    history: list[tuple[int, str, float]] = field(default_factory=list)  # (epoch, term, value)
    seconds: float = 0.0


def smoothness_penalty(outputs: Outputs, x: Tensor, settings: Smoothness) -> dict[str, Tensor]:
    """The penalties that have a weight, unweighted, (B,) nats each; several categorical variables add up."""
    terms: dict[str, Tensor] = {}
    for index, logits in enumerate(outputs.codes.category_logits):
        def predict(images: Tensor, index: int = index) -> Tensor:
            return outputs.predict(images)[index]

        if settings.vat:
            found = vat_penalty(predict, x, logits, epsilon=settings.epsilon, xi=settings.xi)
            terms["vat"] = terms.get("vat", 0.0) + found
        if settings.affine:
            moves = {k: getattr(settings, k) for k in ("rotate", "shear", "zoom", "shift", "flip", "elastic", "padding")}
            terms["affine"] = terms.get("affine", 0.0) + affine_penalty(predict, x, logits, **moves)
    return terms


class Trainer:
    """One run: a model, its objective, its optimisers and its batches.

    Step t draws its noise from (seed, t) alone, and epoch e its order from (seed, e): a run resumed
    at any step ends with the same bits as one that was never stopped.
    """

    def __init__(self, config: Config, model: Autoencoder, batches: Batches) -> None:
        self.config, self.model, self.batches = config, model, batches
        self.loss = objectives.function(config.objective["name"])
        settings = objectives.check(config.objective)
        self.settings = {k: v for k, v in settings.items() if k != "name"}
        check_schedules(self.settings)
        self.accepts = inspect.signature(self.loss).parameters
        training = config.training
        if training.optimizer == "momentum":
            self.optimizer = torch.optim.SGD(model.parameters(), lr=training.lr, momentum=training.momentum)
        else:
            self.optimizer = _adam(model, training.lr)
        self.modules: dict[str, nn.Module] = {"model": model}
        self.optimizers = {"optimizer": self.optimizer}
        declared = objectives.critic(config.objective["name"])
        if declared:
            self._add_critic(*declared)
        if training.memory and "memory" in self.accepts:
            memory = Memory(training.memory, config.latents.continuous)
            self.modules["memory"] = memory.to(next(model.parameters()).device)
        self.progress = Progress()

    def _add_critic(self, build: Callable[..., nn.Module], critic_loss: Callable[..., Tensor]) -> None:
        """The objective's second network, its weights drawn from the run's seed, and its Adam."""
        settings = at_step(self.settings, 0)
        if not 0 <= settings["critic_lr"] < float("inf"):
            raise UserError(f"objective.critic_lr = {settings['critic_lr']}: must be 0 or more")
        torch.manual_seed(seed_of(self.config.training.seed, 3))
        critic = build(self.model.shape, self.config.latents, **objectives.accepted(build, settings))
        self.modules["critic"] = critic.to(next(self.model.parameters()).device)
        self.optimizers["critic_optimizer"] = _adam(self.modules["critic"], settings["critic_lr"])
        self.critic_loss = critic_loss

    def step(self, x: Tensor) -> Mapping[str, Tensor]:
        """One update on images (B, C, H, W); the terms of the loss before it, each reduced to a scalar."""
        torch.manual_seed(seed_of(self.config.training.seed, 2, self.progress.step))
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(self.progress.step // len(self.batches))
        outputs = self.model(x)
        if "critic" in self.modules:
            self._step_critic(outputs.detach(), x)
        terms = self.terms(outputs, x)
        self.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        if self.config.training.clip_norm:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.training.clip_norm)
        self.optimizer.step()
        if "memory" in self.modules:
            self.modules["memory"].add(outputs.codes.mu, outputs.codes.log_var)
        return {name: value.detach() for name, value in terms.items()}

    def _rate(self, epoch: int) -> float:
        training = self.config.training
        return training.lr * training.lr_decay ** max(0, epoch - training.lr_decay_from)

    def _step_critic(self, outputs: Outputs, x: Tensor) -> None:
        """One update of the critic on detached outputs; it is frozen again afterwards."""
        critic, optimizer = self.modules["critic"], self.optimizers["critic_optimizer"]
        settings = at_step(self.settings, self.progress.step)
        optimizer.param_groups[0]["lr"] = settings["critic_lr"]
        critic.requires_grad_(True)
        optimizer.zero_grad(set_to_none=True)
        self.critic_loss(critic, outputs, x, **objectives.accepted(self.critic_loss, settings)).backward()
        optimizer.step()
        critic.requires_grad_(False)

    def terms(self, outputs: Outputs, x: Tensor) -> dict[str, Tensor]:
        """The objective's terms and the smoothness penalties, averaged over the batch, in nats."""
        weights = self.config.smoothness
        penalties = smoothness_penalty(outputs, x, weights)
        smoothness = sum((getattr(weights, name) * value for name, value in penalties.items()), 0.0)
        provided = {"smoothness": smoothness, "dataset_size": self.batches.count, "critic": self.modules.get("critic")}
        if "memory" in self.modules and self.progress.step >= self.config.training.memory_after:
            provided["memory"] = self.modules["memory"].codes()
        wanted = {k: v for k, v in provided.items() if k in self.accepts}
        settings = objectives.accepted(self.loss, at_step(self.settings, self.progress.step))
        terms = self.loss(outputs, x, **wanted, **settings)
        if "smoothness" not in self.accepts:
            terms["loss"] = terms["loss"] + smoothness
        return {name: value.mean() for name, value in (terms | penalties).items()}

    def run(
        self,
        epochs: int,
        after_step: Callable[[Trainer, Mapping[str, float]], bool],
        after_epoch: Callable[[Trainer], bool],
    ) -> bool:
        """Train until ``epochs`` in total are done, or a callback returns True; whether all are done."""
        progress, per_epoch = self.progress, len(self.batches)
        self.model.train()
        while progress.step < epochs * per_epoch:
            epoch, start = divmod(progress.step, per_epoch)
            for x in self.batches.epoch(epoch, start):
                began = time.perf_counter()
                terms = self.step(x)
                values = dict(zip(terms, torch.stack(list(terms.values())).tolist()))
                if not all(map(_finite, values.values())):
                    raise UserError(_diverged(values, progress.step))
                for name, value in values.items():
                    progress.sums[name] = progress.sums.get(name, 0.0) + value
                progress.step += 1
                progress.seconds += time.perf_counter() - began
                whole = progress.step % per_epoch == 0
                if whole:  # before after_step, which may save: what is saved is never between the two
                    progress.history += [(epoch + 1, name, total / per_epoch) for name, total in progress.sums.items()]
                    progress.sums = {}
                if after_step(self, values) and not whole:
                    return False
            if after_epoch(self):
                return progress.step >= epochs * per_epoch
        return True

    def state(self) -> dict[str, Tensor]:
        """Every tensor that a resumed run needs."""
        tensors = {f"{part}.{k}": v for part, module in self.modules.items() for k, v in module.state_dict().items()}
        for part, optimizer in self.optimizers.items():
            for index, values in optimizer.state_dict()["state"].items():
                tensors |= {f"{part}.{index}.{k}": v for k, v in values.items() if isinstance(v, Tensor)}
        return tensors

    def restore(self, tensors: Mapping[str, Tensor], progress: Progress) -> None:
        """Take up a run where ``state`` left it; UserError if it is of another model."""
        weights: dict[str, dict[str, Tensor]] = {part: {} for part in self.modules}
        optimizers: dict[str, dict[int, dict[str, Tensor]]] = {part: {} for part in self.optimizers}
        try:
            for name, value in tensors.items():
                part, _, rest = name.partition(".")
                if part in weights:
                    weights[part][rest] = value
                else:
                    index, _, key = rest.partition(".")
                    optimizers[part].setdefault(int(index), {})[key] = value
            for part, module in self.modules.items():
                module.load_state_dict(weights[part])
            for part, optimizer in self.optimizers.items():
                groups = optimizer.state_dict()["param_groups"]
                optimizer.load_state_dict({"state": optimizers[part], "param_groups": groups})
        except (KeyError, RuntimeError, ValueError) as error:
            raise UserError(f"the run to resume has another model or optimiser: {str(error).splitlines()[0]}") from error
        self.progress = progress


def _adam(module: nn.Module, lr: float) -> torch.optim.Adam:
    """Adam in one pass over the weights where the device has that (up to a fifth of a step's time)."""
    parameters = list(module.parameters())
    return torch.optim.Adam(parameters, lr=lr, fused=parameters[0].device.type in ("cpu", "cuda"))


def _finite(value: float) -> bool:
    return value == value and abs(value) != float("inf")


def _diverged(values: Mapping[str, float], step: int) -> str:
    bad = ", ".join(name for name, value in values.items() if not _finite(value))
    return f"training diverged at step {step + 1}: {bad} is not a finite number; try a lower --lr or --precision fp32"
