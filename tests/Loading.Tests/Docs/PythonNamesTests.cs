using System.Reflection;
using System.Text.RegularExpressions;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>docs/python-names.md: each function of the documents has a row, what it names here exists, and so does every test.</summary>
public sealed partial class PythonNamesTests
{
    private static readonly string[] Functions =
    [
        "_natural_sort_key", "atomic_writer", "composed_weight_loader", "convert_pyslice_to_tensor", "default_weight_loader", "download_safetensors_index_file_from_hf",
        "download_weights_from_hf", "enable_hf_transfer", "fastsafetensors_weights_iterator", "filter_files_not_needed_for_inference", "get_gguf_weight_type_map",
        "gguf_quant_weights_iterator", "initialize_dummy_weights", "maybe_download_from_modelscope", "maybe_remap_kv_scale_name", "multi_thread_pt_weights_iterator",
        "multi_thread_safetensors_weights_iterator", "np_cache_weights_iterator", "pt_weights_iterator", "row_parallel_weight_loader", "runai_safetensors_weights_iterator",
        "safetensors_weights_iterator", "sharded_weight_loader", "ParamMapping", "ParamMapping.get_sub_modules", "configure_quant_config", "device_loading_context",
        "get_architecture_class_name", "get_model_architecture", "get_model_cls", "initialize_model", "process_weights_after_loading", "resolve_transformers_arch", "set_default_torch_dtype",
        "ShardedStateLoader", "DEFAULT_PATTERN", "_filter_subtensors", "_prepare_weights", "download_model", "load_weights", "iterate_over_files", "save_model",
        "SKIP_MODULES", "SKIP_TENSORS", "MetaCopyCounter", "capture_layer_to_meta", "get_numel_loaded", "materialize_layer", "materialize_meta_tensor", "restore_layer_on_meta", "to_meta_tensor",
    ];

    private static readonly string[][] Rows =
    [
        .. File.ReadAllLines(Path.Combine(RepositoryPaths.Root, "docs", "python-names.md"))
            .Where(line => line.StartsWith("| `", StringComparison.Ordinal))
            .Select(line => line.Split('|', StringSplitOptions.TrimEntries)[1..4]),
    ];

    [Fact]
    public void Every_function_has_a_row() =>
        Assert.All(Functions, function => Assert.Contains(Rows, row => Quoted(row[0]).Contains(function)));

    [Fact]
    public void Every_row_names_tests_or_belongs_to_the_remote_sources() =>
        Assert.All(Rows, row => Assert.True(Quoted(row[2]).Length > 0, row[0]));

    [Fact]
    public void Every_test_that_is_named_exists()
    {
        var sources = Directory
            .EnumerateFiles(Path.Combine(RepositoryPaths.Root, "tests"), "*Tests.cs", SearchOption.AllDirectories)
            .ToLookup(file => Path.GetFileNameWithoutExtension(file), File.ReadAllText);
        Assert.All(
            Rows.SelectMany(row => Quoted(row[2])),
            test => Assert.True(
                test.Split('.') is [var type, var method]
                && sources[type].Any(source => source.Contains($"class {type}", StringComparison.Ordinal) && IsTest(source, method)),
                test));
    }

    [Theory]
    [InlineData("    [Fact]\n    public void Name()", true)]
    [InlineData("    [LinuxTheory]\n    // Why.\n    [InlineData(1,\n        2)]\n    public async Task Name(int x)", true)]
    [InlineData("    public void Name()", false)]
    [InlineData("    [Fact]\n    public void Other() => Run();\n    public void Name()", false)]
    [InlineData("    [Fact]\n    public void Other() => Run();\n\n    public void Name()", false)]
    [InlineData("    [NotAFactOfXunit]\n    public void Name()", false)]
    [InlineData("    [Fact]\n    public void LongerName()", false)]
    public void A_test_is_a_method_that_xunit_runs(string source, bool expected) => Assert.Equal(expected, IsTest(source, "Name"));

    [Fact]
    public void Every_member_that_is_named_exists()
    {
        var types = new[] { typeof(Checkpoint).Assembly, typeof(Tensor).Assembly, typeof(ModuleLoader).Assembly }.SelectMany(assembly => assembly.GetExportedTypes()).ToLookup(type => type.Name);
        foreach (var row in Rows)
        {
            foreach (var name in Quoted(row[1]))
            {
                var parts = name.Split('.');
                var type = types[parts[0]].FirstOrDefault();
                Assert.True(type is not null && (parts.Length == 1 || HasMember(type, parts[1])), $"{row[0]}: {name}");
            }
        }
    }

    // An attribute of xunit's or of one of the projects' own, and up to the method no line that is blank or begins another member.
    private static bool IsTest(string source, string method) => Regex.IsMatch(
        source,
        $@"^ *\[\w*(Fact|Theory)(\(.*)?\].*\r?\n( *(?!public )[^\s].*\n)*? *public (async )?\w+ {method}\(",
        RegexOptions.ExplicitCapture | RegexOptions.Multiline,
        TimeSpan.FromSeconds(10));

    private static bool HasMember(Type type, string name) => type.GetMember(name, BindingFlags.Public | BindingFlags.Static | BindingFlags.Instance).Length > 0;

    private static string[] Quoted(string cell) => [.. Code().Matches(cell).Select(match => match.Groups["code"].Value)];

    [GeneratedRegex("`(?<code>[^`]+)`", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Code();
}
