using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>A bf16 checkpoint onto every GPU and OpenCL device that there is, memory reused: against uploads from page-locked slots and plain reads.</summary>
internal sealed class GpuScenario : IScenario
{
    public string Name => "gpu";

    public string Description => "load a bf16 checkpoint onto CUDA and OpenCL devices, where there are some";

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) =>
        [DataFiles.Llama(options)];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var devices = DeviceCatalog.List().Where(device => device.Kind is not (DeviceKind.Host or DeviceKind.Meta)).ToArray();
        if (devices.Length == 0)
        {
            return [Measurement.LeftOut("load onto a GPU", "there is no CUDA or OpenCL device here")];
        }

        var folder = await TensorFiles.LlamaAsync(options, cancellationToken);
        var rows = new List<Measurement>();
        foreach (var listed in devices)
        {
            if (listed.Unusable is { } reason)
            {
                rows.Add(Measurement.LeftOut($"load onto {listed.Id}", reason));
                continue;
            }

            options.Log.WriteLine($"loading onto {listed.Id}");
            var device = DeviceCatalog.Open(listed.Id);
            await using var file = await MeasuredFile.OpenAsync(options, folder, cancellationToken, device);
            foreach (var dtype in (DType?[])[null, DType.F32])
            {
                var plan = file.Plan(new LoadOptions { Device = device, DType = dtype });
                rows.Add(await LoadMeasurements.AgainAsync(
                    $"bf16 {(dtype is { } target ? $"to {target.Name.ToLowerInvariant()}" : "keep")} on {listed.Id}, reused memory",
                    plan,
                    options.Rounds,
                    [file.Limits.Upload(plan)!, file.Limits.Read(plan)],
                    cancellationToken));
            }
        }

        return rows;
    }
}
