import { Backend } from "./backend.js";
import { open } from "./page.js";

open(new Backend());
