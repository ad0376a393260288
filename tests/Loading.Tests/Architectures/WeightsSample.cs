using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A checkpoint of F32 zeros in a folder of its own.</summary>
internal sealed class WeightsSample : IAsyncDisposable
{
    private readonly TemporaryFolder _folder = new();

    private WeightsSample()
    {
    }

    public Checkpoint Checkpoint { get; private set; } = null!;

    public static async Task<WeightsSample> OpenAsync(params (string Name, long[] Shape)[] tensors)
    {
        var builder = new SafetensorsBuilder();
        foreach (var (name, shape) in tensors)
        {
            builder.Add(name, "F32", shape.Select(size => (ulong)size), new byte[4 * shape.Aggregate(1L, (product, size) => product * size)]);
        }

        return await OpenAsync(builder);
    }

    public static async Task<WeightsSample> OpenAsync(SafetensorsBuilder builder)
    {
        var sample = new WeightsSample();
        sample._folder.Write("model.safetensors", builder.ToBytes());
        sample.Checkpoint = await Checkpoint.OpenAsync(sample._folder["model.safetensors"]);
        return sample;
    }

    public async ValueTask DisposeAsync()
    {
        await Checkpoint.DisposeAsync();
        _folder.Dispose();
    }
}
