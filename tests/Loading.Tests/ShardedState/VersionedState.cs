using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>States of two ranks whose every element follows from the version, the rank and the tensor, so that anybody can tell whether one is whole.</summary>
internal static class VersionedState
{
    public const int Ranks = 2;

    private const int Layers = 3;

    // Two layers are more than a part has: three parts a rank.
    private const long PartBytes = 6000;

    private static readonly Shape Matrix = new(32, 32);

    /// <summary>A model of a rank without storage: three layers, a norm, and a head that is tied to the first layer's matrix.</summary>
    public static Module Model()
    {
        var model = new Module();
        var list = model.Register("layers", new Module());
        for (var i = 0; i < Layers; i++)
        {
            var layer = list.Register($"{i}", new Module());
            layer.Register("weight", new Parameter(DType.F32, Matrix));
            layer.Register("bias", new Parameter(DType.F16, new Shape(33)));
            layer.Register("nothing", new Parameter(DType.U8, new Shape(0, 4)));
        }

        model.Register("norm", new Module()).Register("weight", new Parameter(DType.BF16, new Shape(32)));
        model.Register("head", new Module()).Register("weight", list.Children["0"].Parameters["weight"]);
        return model;
    }

    /// <summary>Gives a model's parameters storage with the values of a version.</summary>
    public static Module Fill(Module model, int version, int rank)
    {
        foreach (var (name, parameter) in model.NamedParameters())
        {
            parameter.SetData(Tensor.FromValues<byte>(parameter.DType, parameter.Shape, Content(name, version, rank, parameter.DType.ByteCount(parameter.Shape.ElementCount))));
        }

        return model;
    }

    /// <summary>A live model of a rank with what it has saved.</summary>
    public static async Task<HotModel> LiveAsync(string target, int rank, Device device, HotModelOptions? options = null)
    {
        var model = Model();
        var reloader = ModelReloader.Capture(model, DType.F32, new TensorParallel(Ranks, rank));
        foreach (var (_, parameter) in model.NamedParameters())
        {
            parameter.SetData(Tensor.Empty(parameter.DType, parameter.Shape, device));
        }

        reloader.Attach();
        var hot = new HotModel(model, reloader, (options ?? HotModelOptions.Default) with { Sharded = StateSample.Loader, Rank = rank });
        try
        {
            Assert.True((await hot.ReloadAsync(target)).IsWhole);
            return hot;
        }
        catch
        {
            await hot.DisposeAsync();
            throw;
        }
    }

    /// <summary>The version that all of a live model has.</summary>
    public static int VersionOf(HotModel model, int rank) => VersionOf(model.Layers.SelectMany(layer => layer.Tensors), rank);

    /// <summary>Saves a rank of a version.</summary>
    public static async Task SaveAsync(string target, int version, int rank, string id, FileSystemCalls? calls = null)
    {
        using var model = Fill(Model(), version, rank);
        var options = new ShardedStateSaveOptions { Parallel = new TensorParallel(Ranks, rank), SaveId = id, Overwrite = true, MaximumPartBytes = PartBytes };
        _ = await StateSample.Loader.SaveAsync(model, target, options, calls ?? FileSystemCalls.Native, HostDevice.Shared, null, default);
    }

    /// <summary>Saves all ranks of a version.</summary>
    public static async Task SaveAsync(string target, int version, FileSystemCalls? calls = null)
    {
        var id = Guid.NewGuid().ToString("N");
        for (var rank = 0; rank < Ranks; rank++)
        {
            await SaveAsync(target, version, rank, id, calls);
        }
    }

    /// <summary>The version that a folder holds whole: every rank loads, verified, and every tensor is of that version. Fails where one is not.</summary>
    public static async Task<int> WholeAsync(string target)
    {
        int? version = null;
        for (var rank = 0; rank < Ranks; rank++)
        {
            await using var state = await ShardedState.OpenAsync(target, rank);
            Assert.Equal(Ranks, state.WorldSize);
            Assert.Empty(state.Warnings);
            using var tensors = await state.LoadTensorsAsync();
            // The empty ones are not saved.
            Assert.Equal(["head.weight", .. Enumerable.Range(0, Layers).SelectMany(i => (string[])[$"layers.{i}.bias", $"layers.{i}.weight"]), "norm.weight"], tensors.Keys.Order(StringComparer.Ordinal));
            version ??= VersionOf(tensors, rank);
            Assert.Equal(version, VersionOf(tensors, rank));
        }

        return version!.Value;
    }

    /// <summary>The version that all of some tensors have.</summary>
    public static int VersionOf(IEnumerable<KeyValuePair<string, Tensor>> tensors, int rank)
    {
        int? version = null;
        foreach (var (name, tensor) in tensors.Where(entry => entry.Value.ElementCount > 0))
        {
            var bytes = tensor.Device is LateDevice ? LateDevice.Read(tensor) : StateSample.Bytes(tensor);
            version ??= bytes[0];
            Assert.True(bytes.AsSpan().SequenceEqual(Content(name, version.Value, rank, bytes.Length)), $"{name} is not of version {version}");
        }

        return version ?? throw new InvalidOperationException("There are only empty tensors.");
    }

    // The version itself first, then what it, the rank and the name make.
    private static byte[] Content(string name, int version, int rank, long length)
    {
        var content = new byte[length];
        // string.GetHashCode is another one in every process.
        var seed = (name == "head.weight" ? "layers.0.weight" : name).Aggregate((version * 31) + rank, (sum, letter) => unchecked((sum * 31) + letter));
        new Random(seed).NextBytes(content);
        if (length > 0)
        {
            content[0] = (byte)version;
        }

        return content;
    }
}
