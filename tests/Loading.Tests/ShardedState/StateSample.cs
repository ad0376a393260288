using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Models made by hand, and what is in them.</summary>
internal static class StateSample
{
    public static ShardedStateLoader Loader { get; } = new();

    /// <summary>A tensor of bytes that depend on the seed alone.</summary>
    public static Tensor Random(int seed, DType dtype, params long[] shape)
    {
        var tensor = Tensor.Empty(dtype, new Shape(shape));
        new Random(seed).NextBytes(tensor.AsSpan<byte>());
        return tensor;
    }

    /// <summary>A model whose parameters have these tensors, in this order; dots part modules.</summary>
    public static Module Model(params IEnumerable<(string Name, Tensor Tensor)> tensors)
    {
        var model = new Module();
        foreach (var (name, tensor) in tensors)
        {
            Below(model, name, out var own).Register(own, new Parameter(tensor));
        }

        return model;
    }

    /// <summary>A model like another, with parameters of their own and without storage.</summary>
    public static Module Fresh(Module like)
    {
        var model = new Module();
        foreach (var (name, tensor) in like.NamedState())
        {
            Below(model, name, out var own).Register(own, new Parameter(tensor.DType, tensor.Shape));
        }

        return model;
    }

    /// <summary>A model like another without storage, whose tensors share memory and have strides as those of the other.</summary>
    public static Module Outline(Module like)
    {
        var memories = new Dictionary<DeviceMemory, DeviceMemory>(ReferenceEqualityComparer.Instance);
        var model = new Module();
        foreach (var (name, tensor) in like.NamedState())
        {
            if (!memories.TryGetValue(tensor.Memory, out var memory))
            {
                memories.Add(tensor.Memory, memory = MetaDevice.Shared.Allocate(tensor.Memory.Length));
            }

            Below(model, name, out var own).Register(own, new Parameter(new Tensor(memory, tensor.DType, tensor.Shape, tensor.Strides, tensor.ByteOffset)));
        }

        foreach (var memory in memories.Values)
        {
            memory.Dispose();
        }

        return model;
    }

    /// <summary>The bytes of every tensor in row-major order.</summary>
    public static Dictionary<string, byte[]> Bytes(Module model) => model.NamedState().ToDictionary(entry => entry.Name, entry => Bytes(entry.Tensor));

    /// <summary>The bytes of a tensor in row-major order.</summary>
    public static byte[] Bytes(Tensor tensor)
    {
        using var copy = tensor.To(HostDevice.Shared);
        return copy.AsReadOnlySpan<byte>().ToArray();
    }

    public static void AssertSame(Module expected, Module actual)
    {
        var (before, after) = (expected.NamedState().ToArray(), actual.NamedState().ToArray());
        Assert.Equal(before.Select(entry => $"{entry.Name} {entry.Tensor.DType} {entry.Tensor.Shape}"), after.Select(entry => $"{entry.Name} {entry.Tensor.DType} {entry.Tensor.Shape}"));
        foreach (var ((name, tensor), other) in before.Zip(after))
        {
            Assert.Equal(tensor.Device.Kind == DeviceKind.Meta, other.Tensor.Device.Kind == DeviceKind.Meta);
            Assert.True(tensor.Device.Kind == DeviceKind.Meta || Bytes(tensor).AsSpan().SequenceEqual(Bytes(other.Tensor)), name);
        }
    }

    /// <summary>Writes a plain file.</summary>
    public static void Write(TemporaryFolder folder, string name, params (string Name, DType DType, long[] Shape, byte[] Bytes)[] tensors)
    {
        var builder = new SafetensorsBuilder();
        foreach (var tensor in tensors)
        {
            builder.Add(tensor.Name, tensor.DType.Name, tensor.Shape.Select(size => (ulong)size), tensor.Bytes);
        }

        folder.Write(name, builder.ToBytes());
    }

    /// <summary>Names, types and shapes of a file, read by the file's own text.</summary>
    public static async Task<string[]> NamesAsync(string path)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(path);
        return [.. checkpoint.Tensors.Where(tensor => tensor.TiedTo is null).Select(tensor => tensor.Name).Order(StringComparer.Ordinal)];
    }

    private static Module Below(Module model, string name, out string own)
    {
        var parts = name.Split('.');
        foreach (var part in parts[..^1])
        {
            model = model.Children.TryGetValue(part, out var child) ? child : model.Register(part, new Module());
        }

        own = parts[^1];
        return model;
    }
}
