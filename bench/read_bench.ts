import { register } from "./register.ts";

register("read");
