// One chunk, loaded after the first answer.
export { Bars } from "./bars";
export { Lines } from "./lines";
