// How the map looks: the twin's own tiles, its terrain, and empty sources that the situation is poured into.
import type { LayerSpecification, SourceSpecification, StyleSpecification } from 'maplibre-gl'
import { ROOT } from './api'
import { ASSET_KINDS } from './symbols'
import type { Twin } from './types'

const EMPTY: SourceSpecification = { type: 'geojson', data: { type: 'FeatureCollection', features: [] } }
const TEXT = { 'text-color': '#e8eef3', 'text-halo-color': '#0c1116', 'text-halo-width': 1.6 } as const

// As .wall in style.css: a wall display is read from across the room.
const SCALE = matchMedia('(min-width: 2200px)').matches ? 1.35 : 1

/** Nothing here names another host: tiles come from the server, letters from the machine's own fonts. */
export function style(twin: Twin): StyleSpecification {
  const dem: SourceSpecification = {
    type: 'raster-dem',
    tiles: [`${ROOT}tiles/terrain/{z}/{x}/{y}.png`],
    encoding: 'terrarium',
    tileSize: 256,
    minzoom: 8,
    maxzoom: 14,
    bounds: twin.bounds,
  }
  const attribution = [...new Set(twin.sources.map((s) => s.attribution || s.licence).filter(Boolean))].map(escapeHtml).join(' · ')
  return {
    version: 8,
    sources: {
      base: { type: 'vector', url: `pmtiles://${ROOT}tiles/base.pmtiles`, attribution },
      shade: dem,
      dem, // a second one for 3-D: MapLibre cannot use one source for both at full detail
      zones: { type: 'geojson', data: twin.zones },
      lines: { type: 'geojson', data: twin.lines },
      cut: EMPTY,
      assets: EMPTY,
      gauges: EMPTY,
    },
    layers: layers(),
  }
}

const escapeHtml = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`)

function layers(): LayerSpecification[] {
  const wide = ['match', ['get', 'class'], ['motorway', 'trunk', 'primary'], 3, ['secondary', 'tertiary'], 1.8, 1] as const
  return [
    { id: 'ground', type: 'background', paint: { 'background-color': '#3b444b' } },
    {
      id: 'shade',
      type: 'hillshade',
      source: 'shade',
      paint: { 'hillshade-exaggeration': 0.85, 'hillshade-shadow-color': '#12171b', 'hillshade-highlight-color': '#7d8a93', 'hillshade-accent-color': '#2a3238' },
    },
    { id: 'water', type: 'fill', source: 'base', 'source-layer': 'water', filter: ['==', ['geometry-type'], 'Polygon'], paint: { 'fill-color': '#27516e' } },
    { id: 'water-line', type: 'line', source: 'base', 'source-layer': 'water', filter: ['==', ['geometry-type'], 'LineString'], paint: { 'line-color': '#27516e', 'line-width': 2 } },
    { id: 'buildings', type: 'fill', source: 'base', 'source-layer': 'buildings', minzoom: 12, paint: { 'fill-color': '#6b7780', 'fill-opacity': 0.85 } },
    {
      id: 'roads',
      type: 'line',
      source: 'base',
      'source-layer': 'roads',
      layout: { 'line-cap': 'round', 'line-join': 'round' },
      paint: { 'line-color': '#8d9aa4', 'line-width': ['interpolate', ['exponential', 1.6], ['zoom'], 10, ['*', 0.35, wide], 14, wide, 18, ['*', 4, wide]] as never },
    },
    {
      id: 'zones',
      type: 'line',
      source: 'zones',
      paint: { 'line-color': '#f1e6c8', 'line-width': 1.4, 'line-dasharray': [4, 3], 'line-opacity': 0.75 },
    },
    { id: 'zone-chosen', type: 'line', source: 'zones', filter: ['==', ['get', 'name'], ''], paint: { 'line-color': '#ffffff', 'line-width': 3 } },
    { id: 'lines', type: 'line', source: 'lines', paint: { 'line-color': '#d7b8ff', 'line-width': 3 } },
    {
      id: 'cut-case', // dark, also under the dashes of slowed roads: the hazard below them is light
      type: 'line',
      source: 'cut',
      layout: { 'line-cap': 'round' },
      paint: { 'line-color': '#0c1116', 'line-width': ['interpolate', ['linear'], ['zoom'], 11, 2.5, 15, 6] },
    },
    { id: 'cut-slow', type: 'line', source: 'cut', filter: ['==', ['get', 'state'], 'slow'], paint: { 'line-color': '#ffc46b', 'line-dasharray': [1, 1.2], 'line-width': ['interpolate', ['linear'], ['zoom'], 11, 1.2, 15, 3] } },
    { id: 'cut', type: 'line', source: 'cut', filter: ['==', ['get', 'state'], 'cut'], paint: { 'line-color': '#ff7a7a', 'line-width': ['interpolate', ['linear'], ['zoom'], 11, 1.2, 15, 3.5] } },
    {
      id: 'cut-sign',
      type: 'symbol',
      source: 'cut',
      minzoom: 13,
      filter: ['==', ['get', 'state'], 'cut'],
      layout: { 'symbol-placement': 'line-center', 'text-field': '✕', 'text-size': 13 * SCALE, 'text-keep-upright': false },
      paint: { 'text-color': '#ffffff', 'text-halo-color': '#7a1010', 'text-halo-width': 2 },
    },
    {
      id: 'road-names',
      type: 'symbol',
      source: 'base',
      'source-layer': 'roads',
      minzoom: 14.5,
      layout: { 'symbol-placement': 'line', 'text-field': ['coalesce', ['get', 'name'], ''], 'text-size': 11 * SCALE },
      paint: { ...TEXT, 'text-color': '#c4ced6' },
    },
    {
      id: 'zone-names',
      type: 'symbol',
      source: 'zones',
      layout: { 'text-field': ['get', 'name'], 'text-size': 12 * SCALE, 'text-letter-spacing': 0.08, 'text-transform': 'uppercase' },
      paint: { ...TEXT, 'text-color': '#f1e6c8' },
    },
    {
      id: 'line-names',
      type: 'symbol',
      source: 'lines',
      minzoom: 13,
      layout: { 'symbol-placement': 'line-center', 'text-field': ['get', 'name'], 'text-size': 11 * SCALE, 'text-offset': [0, 1.1] },
      paint: { ...TEXT, 'text-color': '#e2ccff' },
    },
    {
      id: 'assets',
      type: 'symbol',
      source: 'assets',
      layout: {
        'icon-image': ['match', ['get', 'kind'], ASSET_KINDS, ['get', 'kind'], 'depots'],
        'icon-size': 0.9 * SCALE,
        'icon-allow-overlap': true,
        'text-field': ['step', ['zoom'], '', 13.5, ['get', 'name']],
        'text-size': 11 * SCALE,
        'text-offset': [0, 1.2],
        'text-anchor': 'top',
        'text-optional': true,
      },
      paint: TEXT,
    },
    {
      id: 'gauge-chosen',
      type: 'circle',
      source: 'gauges',
      filter: ['==', ['get', 'site'], ''],
      paint: { 'circle-radius': 17 * SCALE, 'circle-color': 'rgba(255,255,255,0.12)', 'circle-stroke-color': '#ffffff', 'circle-stroke-width': 2.5 },
    },
    {
      id: 'gauges',
      type: 'symbol',
      source: 'gauges',
      layout: {
        'icon-image': ['concat', 'level', ['get', 'level'], ['case', ['get', 'blind'], 'blind', '']],
        'icon-size': SCALE,
        'icon-allow-overlap': true,
        'symbol-sort-key': ['-', ['get', 'level']],
        'text-field': ['get', 'label'],
        'text-size': 12 * SCALE,
        'text-offset': [0, 1],
        'text-anchor': 'top',
        'text-optional': true,
      },
      paint: { ...TEXT, 'text-halo-width': 2 },
    },
  ]
}
