using System.Buffers.Binary;
using System.Text;
using System.Text.Json;

namespace IlgpuLoader.Harness;

/// <summary>A checkpoint of a terabyte that takes only its headers of the disk: the tensors are holes.</summary>
internal static class SparseShards
{
    private const int Shards = 200;
    private const int TensorsInShard = 250;

    // bf16: 20 MiB a tensor, 5.2 GB a shard, 1.05 TB in all.
    private const int Rows = 1280;
    private const int Columns = 8192;
    private const long TensorBytes = 2L * Rows * Columns;

    /// <summary>What it takes of the disk.</summary>
    public static DataFile File { get; } = new("sparse-200", 16_000_000);

    /// <summary>Makes it where it is missing.</summary>
    /// <returns>The folder and null, or why there is none.</returns>
    public static async Task<(string Folder, string? Reason)> TryMakeAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var folder = Path.Combine(options.DataFolder, File.Name);
        if (Directory.Exists(folder))
        {
            return (folder, null);
        }

        options.Log.WriteLine($"writing {folder}");
        var partial = folder + ".partial";
        try
        {
            Directory.CreateDirectory(partial);
            var map = new Dictionary<string, string>();
            for (var shard = 0; shard < Shards; shard++)
            {
                var name = $"model-{shard + 1:D5}-of-{Shards:D5}.safetensors";
                await WriteAsync(Path.Combine(partial, name), shard, tensor => map[tensor] = name, cancellationToken);
            }

            var index = JsonSerializer.Serialize(
                new { metadata = new { total_size = TensorBytes * Shards * TensorsInShard }, weight_map = map });
            await System.IO.File.WriteAllTextAsync(Path.Combine(partial, "model.safetensors.index.json"), index, cancellationToken);
            Directory.Move(partial, folder);
            return (folder, null);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // A file system without holes, or with a limit on a file's size.
            if (Directory.Exists(partial))
            {
                Directory.Delete(partial, recursive: true);
            }

            return (folder, exception.Message);
        }
    }

    private static async Task WriteAsync(string path, int shard, Action<string> add, CancellationToken cancellationToken)
    {
        var header = new StringBuilder("{");
        for (var i = 0; i < TensorsInShard; i++)
        {
            var name = $"model.layers.{shard}.block_sparse_moe.experts.{i}.w1.weight";
            add(name);
            header.Append(i == 0 ? "" : ",").Append(
                FormattableString.Invariant($$"""
                    "{{name}}":{"dtype":"BF16","shape":[{{Rows}},{{Columns}}],"data_offsets":[{{i * TensorBytes}},{{(i + 1) * TensorBytes}}]}
                    """));
        }

        var text = Encoding.UTF8.GetBytes(header.Append('}').ToString());
        var length = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(length, text.Length);
        using var file = System.IO.File.OpenHandle(path, FileMode.Create, FileAccess.Write);
        await RandomAccess.WriteAsync(file, length, 0, cancellationToken);
        await RandomAccess.WriteAsync(file, text, length.Length, cancellationToken);
        RandomAccess.SetLength(file, length.Length + text.Length + (TensorBytes * TensorsInShard));
    }
}
