import { register } from "./register.ts";

register("open");
