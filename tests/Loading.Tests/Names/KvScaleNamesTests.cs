using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class KvScaleNamesTests
{
    private readonly RecordedWarnings _recorder = new();
    private readonly WarningLog _log;

    public KvScaleNamesTests() => _log = new WarningLog(_recorder);

    [Theory]
    [InlineData("l.0.self_attn.k_proj.k_scale", "l.0.self_attn.attn.k_scale")]
    [InlineData("l.0.self_attn.v_proj.v_scale", "l.0.self_attn.attn.v_scale")]
    // The second letter says which.
    [InlineData("l.0.self_attn.k_proj.v_scale", "l.0.self_attn.attn.v_scale")]
    [InlineData("l.0.self_attn.qkv_proj.k_scale", "l.0.self_attn.attn.k_scale")]
    [InlineData("l.0.self_attn.qkqkv_proj.v_scale", "l.0.self_attn.attn.v_scale")]
    [InlineData("l.0.mixer.k_proj.k_scale", "l.0.mixer.attn.k_scale")]
    [InlineData("l.0.mixer.v_proj.k_scale", "l.0.mixer.attn.k_scale")]
    [InlineData("l.0.self_attn.k_scale", "l.0.self_attn.attn.k_scale")]
    [InlineData("l.0.self_attn.q_scale", "l.0.self_attn.attn.q_scale")]
    [InlineData("l.0.self_attn.v_zero_point", "l.0.self_attn.attn.v_zero_point")]
    [InlineData("l.0.self_attn.q_zero_point", "l.0.self_attn.attn.q_zero_point")]
    // What only the last patterns fit keeps the module in between.
    [InlineData("l.0.self_attn.q_proj.q_scale", "l.0.self_attn.q_proj.attn.q_scale")]
    [InlineData("l.0.self_attn.k_proj.k_zero_point", "l.0.self_attn.k_proj.attn.k_zero_point")]
    [InlineData("l.0.mixer.qkv_proj.k_scale", "l.0.mixer.qkv_proj.attn.k_scale")]
    [InlineData("l.0.self_attnk_proj.k_scale", "l.0.self_attnk_proj.attn.k_scale")]
    [InlineData(".k_scale", ".attn.k_scale")]
    // Only the end is replaced.
    [InlineData("l.k_scale.self_attn.k_scale", "l.k_scale.self_attn.attn.k_scale")]
    public void Each_pattern_gives_the_name_of_the_parameter(string name, string expected)
    {
        Assert.Equal(expected, Remap(name, expected));
        Assert.Empty(_recorder.Texts);
    }

    [Theory]
    [InlineData("l.0.self_attn.k_proj.k_scale", "l.0.self_attn.mla_attn.mla_attn.k_scale")]
    [InlineData("l.0.self_attn.v_proj.v_scale", "l.0.self_attn.mla_attn.mla_attn.v_scale")]
    [InlineData("l.0.self_attn.qkv_proj.k_scale", "l.0.self_attn.attn.k_scale")]
    [InlineData("l.0.mixer.k_proj.k_scale", "l.0.mixer.attn.k_scale")]
    [InlineData("l.0.self_attn.k_scale", "l.0.self_attn.attn.k_scale")]
    public void Only_the_first_pattern_knows_latent_attention(string name, string expected) =>
        Assert.Equal(expected, Remap(name, expected, "l.3.self_attn.mla_attn.w"));

    [Theory]
    [InlineData("l.0.self_attn.k_proj.weight")]
    [InlineData("l.0.self_attn.k_proj.weight_scale")]
    [InlineData("k_scale")]
    [InlineData("l.0.kk_scale")]
    [InlineData("l.0.kv_scale.weight")]
    [InlineData("l.0.K_SCALE")]
    [InlineData("l.0.o_scale")]
    [InlineData("l.0.k_scale\n")]
    [InlineData("")]
    public void Other_names_stay_also_where_the_model_lacks_them(string name)
    {
        Assert.Equal(name, Remap(name));
        Assert.Empty(_recorder.Texts);
    }

    [Fact]
    public void The_deprecated_scale_becomes_that_of_the_keys_at_each_place_with_a_warning()
    {
        Assert.Equal("l.0.attn.k_scale", Remap("l.0.kv_scale", "l.0.attn.k_scale"));
        Assert.Equal("a.attn.k_scale.b.attn.k_scale", Remap("a.kv_scale.b.kv_scale", "a.attn.k_scale.b.attn.k_scale"));
        var warning = Assert.Single(_recorder.Texts);
        Assert.Contains("kv_scale, which is deprecated in favour of separate k_scale and v_scale", warning, StringComparison.Ordinal);
        Assert.Contains("k_scale stands for v_scale too", warning, StringComparison.Ordinal);
    }

    [Fact]
    public void The_deprecated_scale_without_a_parameter_is_left_out_with_both_warnings()
    {
        // Not the attention of a latent model: that is looked for with the others only.
        var parameters = new HashSet<string>(StringComparer.Ordinal) { "l.0.mla_attn.mla_attn.k_scale" };
        Assert.Null(KvScaleNames.Remap("l.0.kv_scale", parameters, _log));
        Assert.Null(KvScaleNames.Remap("l.0.kv_scale", parameters, _log));
        Assert.Null(KvScaleNames.Remap("l.1.kv_scale", parameters, _log));
        Assert.Equal(3, _recorder.Texts.Count);
        Assert.Contains("deprecated", _recorder.Texts[0], StringComparison.Ordinal);
        Assert.Equal(
            "The checkpoint has kv_scale (for example 'l.0.kv_scale'), but the model has no parameter of the expected name (for example 'l.0.attn.k_scale'): kv_scale is not loaded.",
            _recorder.Texts[1]);
        Assert.Contains("'l.1.kv_scale'", _recorder.Texts[2], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("l.0.self_attn.k_proj.k_scale", "k_scale", "l.0.self_attn.attn.k_scale")]
    [InlineData("l.0.v_zero_point", "v_zero_point", "l.0.attn.v_zero_point")]
    public void A_scale_without_a_parameter_is_left_out_with_one_warning(string name, string kind, string target)
    {
        // That the name itself is one changes nothing, nor that a later pattern would find one.
        var parameters = new HashSet<string>(StringComparer.Ordinal) { name, "l.0.self_attn.k_proj.attn.k_scale" };
        Assert.Null(KvScaleNames.Remap(name, parameters, _log));
        Assert.Null(KvScaleNames.Remap(name, parameters, _log));
        Assert.Equal(
            $"The checkpoint has {kind} (for example '{name}'), but the model has no parameter of the expected name (for example '{target}'): {kind} is not loaded.",
            Assert.Single(_recorder.Texts));
    }

    private string? Remap(string name, params string[] parameters) =>
        KvScaleNames.Remap(name, parameters.ToHashSet(StringComparer.Ordinal), _log);
}
