#!/usr/bin/env node
// Here and not in dist/, so that installing a checkout can link it before it is built.
import '../dist/cli.js';
