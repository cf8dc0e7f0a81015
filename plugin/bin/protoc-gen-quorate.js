#!/usr/bin/env node
// Published, the plugin is dist/. In the repo it is src/, run by a Node that strips types, so that
// `npm run generate` needs no build and never uses a stale one.

/** The module at `path`; undefined where there is none. */
const load = async (path) => {
  const url = new URL(path, import.meta.url).href
  try {
    return await import(url)
  } catch (error) {
    if (error.code === "ERR_MODULE_NOT_FOUND" && error.url === url) return undefined
    throw error
  }
}

const source = process.features.typescript ? await load("../src/plugin.ts") : undefined
const found = source ?? (await load("../dist/plugin.js"))
if (found === undefined) {
  process.stderr.write(
    `protoc-gen-quorate: no dist/, and Node ${process.versions.node} cannot run src/; ` +
      "use `npm run generate`, which has the pinned Node, or build: `npm run build -w plugin`\n"
  )
  process.exit(1)
}
const { runNodeJs } = await import("@bufbuild/protoplugin")
runNodeJs(found.plugin)
