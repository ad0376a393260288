// An application that uses ILGPU already: it has its own context, accelerator and kernel. A checkpoint is loaded into its accelerator,
// and its kernel runs over a loaded weight as over any other view.
//
//     dotnet run -c Release --project samples/IlgpuApp -- [--cpu] [CHECKPOINT]
using ILGPU;
using ILGPU.Runtime;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

const string weightName = "lm_head.weight";
var preferCpu = args.Contains("--cpu");
var path = args.FirstOrDefault(argument => !argument.StartsWith('-')) ?? "samples/tiny-llama";

// What the application has anyway. O2 is the one thing that loading asks for: at less, ILGPU's kernels are not what they could be.
// Before the first context ILGPU is helped to find drivers of which only libcuda.so.1 or libOpenCL.so.1 is installed, as in containers.
IlgpuDevice.FindDrivers();
using var context = Context.Create(builder => builder.Optimize(OptimizationLevel.O2).AllAccelerators());
using var accelerator = context.GetPreferredDevice(preferCpu).CreateAccelerator(context);

// Loading into it: nothing of the application's is disposed.
using var device = IlgpuDevice.Wrap(accelerator);
await using var checkpoint = await Checkpoint.OpenAsync(path);
var loader = new CheckpointLoader();
using var model = await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Device = device, DType = DType.F32 }));
Console.WriteLine($"device   {device.Id}: {accelerator.Name}");
Console.WriteLine($"loaded   {model.Count} tensors, {device.LiveBytes} bytes");

// The application's own kernel over a loaded weight. The model keeps the memory that the view shows.
var weight = model[weightName];
var (rows, columns) = ((int)weight.Shape[0], (int)weight.Shape[1]);
Console.WriteLine($"weight   {weightName}: {weight}");

// Eighths: their products with bf16 weights are exact, so that a GPU, which adds them without rounding in between, gets the same bits.
var vector = Enumerable.Range(0, columns).Select(k => ((k % 17) - 8) / 8f).ToArray();
using var input = accelerator.Allocate1D(vector);
using var output = accelerator.Allocate1D<float>(rows);
var multiply = accelerator.LoadAutoGroupedStreamKernel<Index1D, ArrayView<float>, ArrayView<float>, ArrayView<float>>(MultiplyRow);
multiply(rows, weight.AsArrayView<float>(), input.View.BaseView, output.View.BaseView);
accelerator.Synchronize();
var result = output.GetAsArray1D();
Console.WriteLine($"result   {string.Join(", ", result.Take(4))}, …");

// The same on the host.
using var hostModel = await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { DType = DType.F32 }));
var hostWeight = hostModel[weightName].AsSpan<float>();
var expected = new float[rows];
for (var row = 0; row < rows; row++)
{
    for (var k = 0; k < columns; k++)
    {
        expected[row] += hostWeight[(row * columns) + k] * vector[k];
    }
}

var different = Enumerable.Range(0, rows).Count(row => BitConverter.SingleToInt32Bits(result[row]) != BitConverter.SingleToInt32Bits(expected[row]));
Console.WriteLine(different == 0 ? "equal to the host" : $"{different} of {rows} rows differ from the host");
return different == 0 ? 0 : 1;

// One thread a row.
static void MultiplyRow(Index1D row, ArrayView<float> weight, ArrayView<float> vector, ArrayView<float> result)
{
    var sum = 0f;
    for (var k = 0; k < vector.IntLength; k++)
    {
        sum += weight[(row * vector.Length) + k] * vector[k];
    }

    result[row] = sum;
}
