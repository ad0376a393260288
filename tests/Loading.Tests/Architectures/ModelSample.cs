using System.Text;
using System.Text.Json.Nodes;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Configurations, weights that are only names and shapes, and what a model would write of them.</summary>
internal static class ModelSample
{
    /// <summary>One layer each: 8 heads of 4 (2 of keys and values), hidden 32, intermediate 48, 100 tokens.</summary>
    public const string Sizes =
        """
        "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 8, "num_key_value_heads": 2, "intermediate_size": 48, "vocab_size": 100
        """;

    private static readonly CheckpointFile NoFile = new("none", "none.safetensors", "safetensors", new StreamSource(new MemoryStream(), "none"));

    public static ModelConfig Config(string json) => ModelConfig.Parse("config.json", Encoding.UTF8.GetBytes(json));

    public static ModelConfig Config(string architecture, string fields) =>
        Config($$"""{"architectures": ["{{architecture}}"], "model_type": "x", {{fields}}}""");

    /// <summary>The configuration of a listing of names.zip, with the architecture that the published file has.</summary>
    public static ModelConfig ConfigOf(string model)
    {
        var root = JsonNode.Parse(GoldenArchive.Read("names", $"{model}/config.json"))!.AsObject();
        var architecture = (string)root["model_type"]! switch
        {
            "llama" => "LlamaForCausalLM",
            "mistral" => "MistralForCausalLM",
            "mixtral" => "MixtralForCausalLM",
            "qwen2" => "Qwen2ForCausalLM",
            "qwen3" => "Qwen3ForCausalLM",
            "gemma" => "GemmaForCausalLM",
            "phi3" => "Phi3ForCausalLM",
            _ => "GPT2LMHeadModel",
        };
        root["architectures"] = new JsonArray(architecture);
        return Config(root.ToJsonString());
    }

    public static ModelContext Context(ModelConfig config, int world = 1, int rank = 0) =>
        new() { Config = config, DType = DType.BF16, Parallel = new TensorParallel(world, rank) };

    /// <summary>A weight whose file is not there.</summary>
    public static Weight Unread(string name, Shape shape, WeightTransform? transform = null, string? storedName = null, DType dtype = DType.F16) =>
        Weight.Lazy(new TensorInfo(storedName ?? name, dtype, shape, NoFile, 0, dtype.ByteCount(shape.ElementCount)), name, transform);

    /// <summary>What a parameter's loader would write of a weight; values that it asks for are given without storage.</summary>
    public static IReadOnlyList<RecordedWrite> Record(WeightTarget target, Weight weight)
    {
        while (true)
        {
            using var recorder = new MetaRecorder();
            try
            {
                target.Parameter.Load(weight, target.Shard);
                return recorder.Writes;
            }
            catch (ValuesRequiredException exception) when (exception.Weight is { } part && !part.Stored!.TryFind(WeightPart.Of(part), out _))
            {
                part.Stored!.Provide(WeightPart.Of(part), Tensor.Empty(DType.F32, part.Shape, MetaDevice.Shared));
            }
        }
    }

    /// <summary>Names and shapes of a model's parameters.</summary>
    public static IEnumerable<string> Describe(Module model) => model.NamedParameters().Select(entry => $"{entry.Name} {entry.Parameter.Shape}");
}
