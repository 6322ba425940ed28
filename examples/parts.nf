#!/usr/bin/env nextflow
// Denoise with Nextflow, on whatever executor it is set up for:
//
//     nextflow run parts.nf --image /data/stack.ome.tif --result /data/result.ome.zarr --parts 8
//
// All machines see the same files. A part that failed may be run again, and two at once do no harm.

params.image = null
params.result = null
params.parts = 8
params.options = ''

def command() {
    "napari-rdpdenoise denoise '${file(params.image)}' '${file(params.result)}' ${params.options}"
}

process part {
    cpus 4
    memory '8 GB'
    errorStrategy 'retry'
    maxRetries 3

    input:
    val number

    output:
    val number

    script:
    """
    export OMP_NUM_THREADS=${task.cpus}
    ${command()} --part ${number}/${params.parts}
    """
}

process finish {
    input:
    val numbers

    output:
    stdout

    script:
    """
    ${command()} --finish
    """
}

workflow {
    finish(part(channel.of(1..(params.parts as Integer))).collect()).view()
}
