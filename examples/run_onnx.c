/* Enhance sound with an exported network, in C with onnxruntime: raw samples in and out, as they come.
 *
 *     sedistill export fastenhancer-t -o network.onnx
 *     cc -O2 run_onnx.c -I ONNXRUNTIME/include -L ONNXRUNTIME/lib -lonnxruntime -o run_onnx
 *     ffmpeg -i noisy.wav -f f32le -ac 1 -ar 16000 - | ./run_onnx network.onnx > clean.f32
 *
 * 32-bit floating point of one channel, at the network's rate. ONNXRUNTIME is a release of onnxruntime.
 */

#include <onnxruntime_c_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TENSORS 32

static const OrtApi *ort;

static void check(OrtStatus *status) {
    if (status == NULL) return;
    fprintf(stderr, "run_onnx: %s\n", ort->GetErrorMessage(status));
    exit(2);
}

/* A fact of the file's metadata; empty where it has none. The program keeps it to its end. */
static const char *fact(OrtModelMetadata *facts, OrtAllocator *memory, const char *name) {
    char *value = NULL;
    check(ort->ModelMetadataLookupCustomMetadataMap(facts, memory, name, &value));
    return value ? value : "";
}

/* A tensor of zeros, in the shape of an input. */
static OrtValue *zeros(OrtSession *session, size_t input, OrtAllocator *memory, float **data) {
    OrtTypeInfo *type;
    const OrtTensorTypeAndShapeInfo *info;
    int64_t shape[8];
    size_t axes, size = 1;
    OrtValue *tensor;
    check(ort->SessionGetInputTypeInfo(session, input, &type));
    check(ort->CastTypeInfoToTensorInfo(type, &info));
    check(ort->GetDimensionsCount(info, &axes));
    if (axes > 8) axes = 8;
    check(ort->GetDimensions(info, shape, axes));
    check(ort->CreateTensorAsOrtValue(memory, shape, axes, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &tensor));
    check(ort->GetTensorMutableData(tensor, (void **)data));
    for (size_t axis = 0; axis < axes; axis++) size *= (size_t)shape[axis];
    memset(*data, 0, size * sizeof **data);
    ort->ReleaseTypeInfo(type);
    return tensor;
}

int main(int count, char **arguments) {
    OrtEnv *environment;
    OrtSessionOptions *options;
    OrtSession *session;
    OrtAllocator *memory;
    OrtModelMetadata *facts;
    OrtValue *inputs[MOST_TENSORS], *outputs[MOST_TENSORS];
    char *in_names[MOST_TENSORS], *out_names[MOST_TENSORS];
    float *samples, *unused;
    size_t tensors, step, delay, read, taken = 0, given = 0;

    ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
    if (ort == NULL) {
        fprintf(stderr, "run_onnx: the library is older than the headers.\n");
        return 2;
    }
    if (count != 2) {
        fprintf(stderr, "usage: run_onnx network.onnx < noisy.f32 > clean.f32\n");
        return 2;
    }
    check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "run_onnx", &environment));
    check(ort->CreateSessionOptions(&options));
    check(ort->SetIntraOpNumThreads(options, 1)); /* so small a network is slower on several */
    check(ort->CreateSession(environment, arguments[1], options, &session));
    check(ort->GetAllocatorWithDefaultOptions(&memory));
    check(ort->SessionGetModelMetadata(session, &facts));
    if (strcmp(fact(facts, memory, "sedistill_form"), "stream") != 0) {
        fprintf(stderr, "run_onnx: %s is no stream; export it with --form stream.\n", arguments[1]);
        return 2;
    }
    step = strtoul(fact(facts, memory, "step_samples"), NULL, 10);
    delay = strtoul(fact(facts, memory, "delay_samples"), NULL, 10);
    check(ort->SessionGetInputCount(session, &tensors));
    if (tensors > MOST_TENSORS) {
        fprintf(stderr, "run_onnx: %zu inputs are more than %d.\n", tensors, MOST_TENSORS);
        return 2;
    }
    for (size_t i = 0; i < tensors; i++) {
        check(ort->SessionGetInputName(session, i, memory, &in_names[i]));
        check(ort->SessionGetOutputName(session, i, memory, &out_names[i]));
        inputs[i] = zeros(session, i, memory, i == 0 ? &samples : &unused);
    }

    while (1) { /* until as much is given as was taken, and the end is silence */
        read = fread(samples, sizeof *samples, step, stdin);
        taken += read;
        if (read < step) memset(samples + read, 0, (step - read) * sizeof *samples);
        if (read == 0 && given >= taken + delay) break;
        memset(outputs, 0, sizeof outputs); /* onnxruntime makes them */
        check(ort->Run(session, NULL, (const char *const *)in_names, (const OrtValue *const *)inputs, tensors,
                       (const char *const *)out_names, tensors, outputs));
        float *enhanced;
        check(ort->GetTensorMutableData(outputs[0], (void **)&enhanced));
        for (size_t i = 0; i < step; i++, given++) /* what comes out is `delay` samples late */
            if (given >= delay && given < taken + delay) fwrite(enhanced + i, sizeof *enhanced, 1, stdout);
        fflush(stdout);
        ort->ReleaseValue(outputs[0]);
        for (size_t i = 1; i < tensors; i++) {
            ort->ReleaseValue(inputs[i]);
            inputs[i] = outputs[i];
        }
    }
    for (size_t i = 0; i < tensors; i++) ort->ReleaseValue(inputs[i]);
    ort->ReleaseModelMetadata(facts);
    ort->ReleaseSession(session);
    ort->ReleaseSessionOptions(options);
    ort->ReleaseEnv(environment);
    return 0;
}
