import { defineConfig } from 'astro/config'
import { atomicOutput } from './atomic-output.ts'

export default defineConfig({ integrations: [atomicOutput({ to: 'live', keepPrevious: 'previous' })] })
