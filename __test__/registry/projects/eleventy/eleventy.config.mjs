import { atomicOutput } from './atomic-output.ts'

export default function (config) {
  config.setInputDirectory('content')
  config.addPlugin(atomicOutput, { to: 'live', keepPrevious: 'previous' })
}
