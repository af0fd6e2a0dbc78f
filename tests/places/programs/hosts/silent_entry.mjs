/** The entry of a bundle that exports nothing of what is in it. */
import './app.mjs';
