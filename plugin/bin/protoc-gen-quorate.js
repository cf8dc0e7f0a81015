#!/usr/bin/env node
// Published, the plugin is dist/. In the repo it is src/, run by a Node that strips types, so that
// `npm run generate` needs no build and never uses a stale one.
import { existsSync } from "node:fs"

const source = new URL("../src/plugin.ts", import.meta.url)
const built = new URL("../dist/plugin.js", import.meta.url)

const choose = () => {
  if (existsSync(source) && process.features.typescript) return source
  if (existsSync(built)) return built
  process.stderr.write(
    `protoc-gen-quorate: dist/ is missing, and Node ${process.versions.node} cannot run src/; ` +
      "run `npm run generate`, which uses the pinned Node, or build with `npm run build -w plugin`\n"
  )
  process.exit(1)
}

const { plugin } = await import(choose().href)
const { runNodeJs } = await import("@bufbuild/protoplugin")
runNodeJs(plugin)
