import { register } from "./register.ts";

register((row) => !row.long);
