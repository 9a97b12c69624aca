// Run by vitest before the specs: packs, starts the registry, publishes. What it returns is run after them.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { platform, platformOf } from '../../scripts/loader.mjs'
import { builtAddon, layOut, layOutPlatform, manifestOf, npm, readJson, writeJson } from '../helpers/packed'
import { Missing, NODE_OF_TOOLS, nodeOf, provided } from './helpers/provided'
import { startRegistry } from './helpers/registry'

declare module 'vitest' {
  interface ProvidedContext {
    /** The packages, each in a folder of its own as it is published. */
    published: string
    /** Where they were published; empty where no registry could be had, which `missing` explains. */
    registry: string
    missing: string
    /** Folders and programs that were installed for the run. */
    tools: string
    node: string
    /** Whether the package for stores has its addon. */
    hasCloud: boolean
  }
}

const sources = { atomic: '.', 'atomic-cloud': 'packages/cloud' }

export default async function setUp({ provide }: TestProject) {
  const scratch = mkdtempSync(join(tmpdir(), 'atomic-registry-'))
  const published = join(scratch, 'published')
  for (const [name, source] of Object.entries(sources)) {
    await layOut(source, join(published, name))
    for (const target of manifestOf(source).napi.targets) {
      const other = platformOf(target)
      const built = other === platform() ? builtAddon(source) : ''
      layOutPlatform(
        source,
        other,
        join(published, `${name}-${other}`),
        existsSync(built) ? built : undefined,
      )
    }
  }
  provide('published', published)
  provide('hasCloud', existsSync(builtAddon(sources['atomic-cloud'])))

  let stop = async () => {}
  try {
    const node = await nodeOf(NODE_OF_TOOLS)
    const tools = await provided('tools', readJson(join(import.meta.dirname, 'tools/package.json')))
    provide('node', node)
    provide('tools', tools)
    const registry = await startRegistry(node, tools, join(scratch, 'registry'))
    stop = registry.stop
    await publish(published, registry.url)
    provide('registry', registry.url)
    provide('missing', '')
  } catch (error) {
    await stop()
    if (!(error instanceof Missing)) {
      rmSync(scratch, { recursive: true, force: true })
      throw error
    }
    provide('registry', '')
    provide('missing', error.message)
  }
  return async () => {
    await stop()
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** Publishes each folder, all by one npm. */
async function publish(folder: string, registry: string) {
  writeJson(join(folder, 'package.json'), { private: true, workspaces: ['*'] })
  // npm wants to know who publishes, and the registry takes any answer.
  writeFileSync(join(folder, '.npmrc'), `${registry.replace('http:', '')}:_authToken=anyone\n`)
  await npm(folder, 'publish', '--workspaces', '--registry', registry, '--loglevel=error')
}
