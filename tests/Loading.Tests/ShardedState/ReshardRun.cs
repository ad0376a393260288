using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Saved ranks in memory, and what a model has of them afterwards.</summary>
internal sealed class ReshardRun(IReadOnlyList<IReadOnlyDictionary<string, byte[]>> saved, Func<int, Module> makeSaved)
{
    /// <summary>The tensors that were read, in their order.</summary>
    public List<(int Rank, string Name)> Reads { get; } = [];

    /// <summary>Changes what is read.</summary>
    public Func<int, string, Tensor, Tensor?>? Change { get; init; }

    public Device Device { get; init; } = new HostDevice();

    /// <summary>Told of what is read.</summary>
    public IProgress<LoadProgress>? Progress { get; init; }

    /// <summary>The bytes of a model's parameters and buffers; those without storage are empty.</summary>
    public static Dictionary<string, byte[]> BytesOf(Module model) => model.NamedState()
        .DistinctBy(entry => entry.Name)
        .ToDictionary(entry => entry.Name, entry => Bytes(entry.Tensor), StringComparer.Ordinal);

    public async Task<ReshardResult> ReshardAsync(Module model, CancellationToken cancellationToken = default)
    {
        var made = new List<Module>();
        var reader = new HostDevice();
        try
        {
            return await StateResharder.ReshardAsync(model, saved.Count, Make, Read, Device, Progress, cancellationToken);
        }
        finally
        {
            Assert.Equal(0, reader.LiveAllocations);
            // Their models are disposed.
            Assert.All(made.SelectMany(one => one.NamedState()), entry => Assert.True(entry.Tensor.IsDisposed));
        }

        Module Make(int rank)
        {
            made.Add(makeSaved(rank));
            return made[^1];
        }

        Task<Tensor?> Read(int rank, string name, CancellationToken token)
        {
            token.ThrowIfCancellationRequested();
            Reads.Add((rank, name));
            if (!saved[rank].TryGetValue(name, out var bytes) || bytes.Length == 0)
            {
                return Task.FromResult<Tensor?>(null);
            }

            var like = made[rank].NamedState().First(entry => entry.Name == name).Tensor;
            var tensor = Tensor.FromValues<byte>(like.DType, like.Shape, bytes, reader);
            if (Change is null)
            {
                return Task.FromResult<Tensor?>(tensor);
            }

            Tensor? changed = null;
            try
            {
                changed = Change(rank, name, tensor);
                return Task.FromResult(changed);
            }
            finally
            {
                if (!ReferenceEquals(changed, tensor))
                {
                    tensor.Dispose();
                }
            }
        }
    }

    private static byte[] Bytes(Tensor tensor)
    {
        if (tensor.Device.Kind == DeviceKind.Meta)
        {
            return [];
        }

        using var copy = tensor.To(HostDevice.Shared);
        return copy.AsReadOnlySpan<byte>().ToArray();
    }
}
