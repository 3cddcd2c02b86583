// Two languages: English is the key, Simplified Chinese stands in the table.
import { createContext } from "preact";
import { useContext } from "preact/hooks";

const zh: Record<string, string> = {
  "Overview": "概览", "Playground": "体验", "Jobs": "训练作业", "Models": "模型", "Endpoints": "推理服务", "Usage": "用量与账单",
  "Keys": "密钥", "Events": "事件", "Log in": "登录", "Log out": "退出", "API key": "API 密钥", "Theme": "主题", "Language": "语言",
  "The key that `loam up` printed at its first start, or one made under Keys.": "首次运行 `loam up` 时打印的密钥，或在“密钥”页创建的密钥。",
  "This key was not accepted.": "密钥无效。", "Tokens per second": "每秒词元", "Running jobs": "运行中作业", "queued": "排队",
  "P·hours leased": "租用 P·时", "P·hours delivered": "交付 P·时", "Spend this month": "本月费用", "utilization": "利用率",
  "Live throughput": "实时吞吐", "No samples yet.": "暂无数据。", "Model": "模型", "Temperature": "温度", "Top-p": "Top-p",
  "Max tokens": "最大词元数", "Seed": "随机种子", "System prompt": "系统提示", "Message": "消息", "Send": "发送", "Stop": "停止",
  "Clear": "清空", "prompt": "输入", "answer": "输出", "tokens": "词元", "Say something to the model.": "和模型说点什么吧。",
  "No endpoint is deployed yet: deploy a model first.": "尚未部署推理服务：请先部署模型。", "New job": "新建作业", "Name": "名称",
  "State": "状态", "Created": "创建时间", "Priority": "优先级", "Recipe (YAML)": "配方（YAML）", "Model name": "模型名称",
  "Submit": "提交", "Cancel": "取消", "Resume": "继续", "Close": "关闭", "Loss": "损失", "training": "训练", "validation": "验证",
  "Speed": "速度", "Log": "日志", "Samples": "样例", "Runs": "运行记录", "Error": "错误", "No jobs yet.": "暂无作业。", "step": "步",
  "Versions": "版本", "Version": "版本", "Size": "大小", "Digest": "摘要", "Lineage": "来源", "Deploy": "部署", "Import": "导入",
  "Path on the server": "服务器上的路径", "No models yet.": "暂无模型。", "Job": "作业", "Dataset": "数据集", "Replicas": "副本",
  "Latency": "延迟", "Throughput": "吞吐", "Idle timeout": "空闲超时", "Delete": "删除", "No endpoints yet.": "暂无推理服务。", "Port": "端口",
  "Process": "进程", "Tokens used": "已用词元", "none: the recipe names its own path": "不选：由配方指定路径", "Day": "日期", "Key": "密钥", "Group by": "分组", "Input tokens": "输入词元",
  "Output tokens": "输出词元", "Requests": "请求数", "Compute": "算力", "Amount": "金额", "Invoices": "账单", "Month": "月份", "Total": "合计",
  "Print": "打印", "No usage yet.": "暂无用量。", "No invoices yet.": "暂无账单。", "New key": "新建密钥", "Create": "创建", "Role": "角色",
  "Expires": "过期时间", "never": "永不", "Revoke": "吊销", "revoked": "已吊销", "Token budget": "词元预算", "Requests per minute": "每分钟请求数",
  "Copy this key now: it is not shown again.": "请立即复制密钥：之后不再显示。", "Copy": "复制", "Copied": "已复制", "Time": "时间",
  "Kind": "类型", "Subject": "对象", "Actor": "操作者", "Detail": "详情", "No events yet.": "暂无事件。", "Older": "更早", "Loading…": "加载中…",
  "Try again": "重试", "empty: no limit": "留空：不限", "Last": "最近", "Minimum replicas": "最少副本", "Maximum replicas": "最多副本",
  "Description": "说明", "Quantity": "数量", "Unit price": "单价", "Skip to content": "跳到正文", "Details": "详情",
  "running": "运行中", "succeeded": "成功", "failed": "失败", "cancelled": "已取消", "ready": "就绪",
  "starting": "启动中", "stopped": "已停止", "idle": "空闲",
};

export type Language = "en" | "zh";

export const LanguageContext = createContext<Language>("en");

export function preferredLanguage(): Language {
  const saved = localStorage.getItem("loam.language");
  if (saved === "en" || saved === "zh") return saved;
  return navigator.language.startsWith("zh") ? "zh" : "en";
}

export function useT(): (text: string) => string {
  const language = useContext(LanguageContext);
  return text => language === "zh" ? zh[text] ?? text : text;
}
