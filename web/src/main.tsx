import { render } from "preact";
import { App } from "./components/app";
import { start } from "./state";
import "./style.css";

const page = document.getElementById("page");
if (page !== null) render(<App />, page);
void start();
