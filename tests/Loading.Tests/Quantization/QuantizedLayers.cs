using System.Collections.Immutable;
using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Loads quantised layers as a load does, and reads their weights.</summary>
internal static class QuantizedLayers
{
    public const string Name = "model.layers.0.self_attn.qkv_proj";

    /// <summary>The configuration in a <c>config.json</c> that has only that.</summary>
    public static QuantizationConfig Config(string quantization)
    {
        using var document = JsonDocument.Parse($$"""{ "quantization_config": {{quantization}} }""");
        var config = QuantizationMethods.Read(document.RootElement.Clone())!;
        config.PackedModules = ImmutableDictionary<string, ImmutableArray<string>>.Empty.Add("qkv_proj", ["q_proj", "k_proj", "v_proj"]);
        return config;
    }

    /// <summary>Gives all parameters storage, and loads the parts into them. What nothing fills and nobody needs stays without.</summary>
    public static void Load(LinearLayer layer, IReadOnlyList<StoredPart> parts, Device? device = null)
    {
        foreach (var (name, parameter) in layer.Parameters)
        {
            if (!parts[0].Tensors.ContainsKey(name))
            {
                Assert.False(parameter.IsRequired);
                continue;
            }

            // What nothing writes shows.
            var data = Tensor.Empty(parameter.DType, parameter.Shape);
            data.AsSpan<byte>().Fill(0x5A);
            parameter.SetData(data);
            parameter.Name = $"{Name}.{name}";
            foreach (var (index, part) in parts.Index())
            {
                var weight = new Weight($"{Name}.{index}.{name}", part.Tensors[name]);
                parameter.Load(weight, parts.Count == 1 ? default : new ShardId(layer.Layout.Parts[index].Id));
            }

            if (device is { IsHost: false })
            {
                parameter.SetData(parameter.Data.To(device));
            }
        }
    }

    /// <summary>The values of a BF16 weight.</summary>
    public static ushort[] Weight(LinearLayer layer)
    {
        var weight = layer.Parameters["weight"];
        Assert.Equal(DType.BF16, weight.DType);
        using var onHost = weight.Data.To(HostDevice.Shared);
        return onHost.AsReadOnlySpan<ushort>().ToArray();
    }

    /// <summary>What a rank has of the parts.</summary>
    public static ushort[] Expected(LinearLayout layout, IReadOnlyList<StoredPart> parts) =>
    [
        .. from entry in parts.Index()
           let part = layout.Parts[entry.Index]
           let outputs = layout.SplitsInputs ? part.Size : part.Size / (layout.Parallel.WorldSize / part.Replicas)
           let firstOutput = layout.SplitsInputs ? 0 : layout.Parallel.Rank / part.Replicas * outputs
           let inputs = layout.InputSize / (layout.SplitsInputs ? layout.Parallel.WorldSize : 1)
           let firstInput = layout.SplitsInputs ? layout.Parallel.Rank * inputs : 0
           from output in Enumerable.Range((int)firstOutput, (int)outputs)
           from input in Enumerable.Range((int)firstInput, (int)inputs)
           select StoredPart.Brain(entry.Item.Value(output, input)),
    ];
}
