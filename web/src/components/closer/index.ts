// One chunk, loaded when the first of them is opened.
export { Bench } from "./bench";
export { Layouts } from "./layouts";
export { Modes } from "./modes";
export { PointOperations, StepOperations } from "./operations";
export { Replay } from "./replay";
