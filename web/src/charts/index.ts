// One chunk, loaded after the first answer.
export { Bars } from "./bars";
export { Curves } from "./curves";
export { Lines } from "./lines";
export { Series } from "./series";
export { Steps } from "./steps";
