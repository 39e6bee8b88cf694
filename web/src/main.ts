// What the page needs first, in a file of its own: the worker compiles its module while the rest is still being read.
import "./first";
import "./style.css";

void import("./page");
