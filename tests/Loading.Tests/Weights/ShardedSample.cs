using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;
using static IlgpuLoader.TestKit.PickleBytes;

namespace IlgpuLoader.Loading.Tests;

/// <summary>The files of a model with random bytes, in an order that is not theirs, and what every iterator over them must give.</summary>
public sealed class ShardedSample
{
    // Opened first, ordered as text they would be 10, 11, 2.
    private static readonly int[] Numbers = [10, 2, 11, 1, 20, 3, 100, 4];

    private readonly Dictionary<string, byte[]> _files = [];

    /// <summary>Makes the files.</summary>
    /// <param name="isTorch">Whether they are PyTorch's, and no safetensors files.</param>
    /// <param name="files">How many.</param>
    /// <param name="tensors">How many each has.</param>
    /// <param name="bytes">The size of each tensor, a multiple of 8.</param>
    public ShardedSample(bool isTorch = false, int files = 3, int tensors = 4, int bytes = 400)
    {
        var random = new Random(files);
        for (var file = 0; file < files; file++)
        {
            var safetensors = new SafetensorsBuilder();
            var torch = new TorchBuilder();
            var entries = new List<(string, byte[])>();
            for (var tensor = 0; tensor < tensors; tensor++)
            {
                var (name, content) = ($"layers.{Numbers[file]}.{tensor}.weight", new byte[bytes]);
                random.NextBytes(content);
                Tensors.Add(name, content);
                safetensors.Add(name, "F32", [2, (ulong)bytes / 8], content);
                torch.AddStorage($"{tensor}", content);
                entries.Add((name, Tensor(Storage("FloatStorage", $"{tensor}", bytes / 4), 0, [2, bytes / 8], [bytes / 8, 1])));
            }

            _files.Add(
                $"model-{Numbers[file]}-of-{files}{(isTorch ? ".bin" : ".safetensors")}",
                isTorch ? torch.ToArchive(Dictionary([.. entries])) : safetensors.ToBytes());
        }
    }

    /// <summary>The names of the files, out of order.</summary>
    public IReadOnlyList<string> Files => [.. _files.Keys];

    /// <summary>Each tensor's bytes by name.</summary>
    public IDictionary<string, byte[]> Tensors { get; } = new Dictionary<string, byte[]>();

    /// <summary>The names of the tensors file by file in natural order.</summary>
    public IEnumerable<string> InOrder => Tensors.Keys.OrderBy(name => int.Parse(name.Split('.')[1], System.Globalization.CultureInfo.InvariantCulture)).ThenBy(name => name, StringComparer.Ordinal);

    /// <summary>The bytes of a file.</summary>
    public byte[] this[string file] => _files[file];

    /// <summary>Where the bytes of the last tensor of a file begin.</summary>
    public long LastOf(string file) => Tensors.Values.Max(tensor => _files[file].AsSpan().IndexOf(tensor));

    /// <summary>Where an iterator finds the files: in memory, through a double.</summary>
    public Func<string, OpenFileLimit, IByteSource> Open(Func<string, IByteSource, IByteSource>? wrap = null) =>
        (file, _) => wrap is null ? new MemorySource(_files[file], file) : wrap(file, new MemorySource(_files[file], file));

    /// <summary>The files in a folder.</summary>
    public IReadOnlyList<string> WriteTo(TemporaryFolder folder) => [.. _files.Select(file => folder.Write(file.Key, file.Value))];

    /// <summary>Asserts that a weight is what its file has, and disposes it.</summary>
    public async Task AssertAsync(Weight weight)
    {
        using (weight)
        {
            Assert.Equal((DType.F32, 2), (weight.DType, weight.Shape[0]));
            Assert.Equal(Tensors[weight.Name], await BytesAsync(weight));
        }
    }

    /// <summary>The bytes of a weight; of a lazy one those that it would be read from.</summary>
    public static async Task<byte[]> BytesAsync(Weight weight)
    {
        if (weight.Stored is not { Info: { } info })
        {
            return weight.Tensor.Device.IsHost ? weight.Tensor.AsReadOnlySpan<byte>().ToArray() : LateDevice.Read(weight.Tensor);
        }

        var bytes = new byte[info.DataByteLength];
        await info.File.Source.ReadExactlyAsync(info.DataOffset, bytes);
        return bytes;
    }
}
