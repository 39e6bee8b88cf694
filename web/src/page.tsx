import { render } from "preact";
import { App } from "./components/app";
import { start } from "./state";

const page = document.getElementById("page");
if (page !== null) render(<App />, page);
void start();
