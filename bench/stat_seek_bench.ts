import { register } from "./register.ts";

register("stat_seek");
