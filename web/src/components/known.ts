// Names that the catalogue offers, the user's own rows included.
import { catalog } from "../state";

export const models = (): string[] => catalog.value?.models.map((model) => model.architecture.name) ?? [];
export const gpus = (): string[] => catalog.value?.gpus.map((gpu) => gpu.name) ?? [];
